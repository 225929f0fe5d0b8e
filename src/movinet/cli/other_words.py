"""What options and commands are called elsewhere, for those who type it here."""

from collections.abc import Collection, Sequence

from cyclopts import CycloptsError, MissingArgumentError, UnknownCommandError, UnknownOptionError

# By what Ultralytics, timm, mmaction2, PyTorchVideo and FFmpeg call it; the first that the command has is named.
_OPTIONS = {
    "--weights": ("--model",),
    "--checkpoint": ("--model",),
    "--ckpt": ("--model",),
    "--network": ("--model", "--arch"),
    "--conf": ("--on",),
    "--conf-thres": ("--on",),
    "--threshold": ("--on",),
    "--k": ("--topk",),
    "-k": ("--topk",),
    "--top-k": ("--topk",),
    "--classes": ("--labels", "--topk"),
    "--names": ("--labels",),
    "--half": ("--precision",),
    "--fp16": ("--precision",),
    "--dtype": ("--precision",),
    "--quantize": ("--precision",),
    "--backend": ("--engine",),
    "--runtime": ("--engine",),
    "--gpu": ("--device",),
    "--format": ("--to",),
    "--target": ("--to",),
    "--include": ("--to",),
    "--output": ("--out", "--save"),
    "--output-dir": ("--out", "--record"),
    "--project": ("--out",),
    "--dir": ("--out",),
    "--imgsz": ("--size",),
    "--img-size": ("--size",),
    "--resolution": ("--size",),
    "--batch": ("--batch-size",),
    "--learning-rate": ("--lr",),
    "--num-frames": ("--frames",),
    "--val": ("--validation",),
    "--duration": ("--seconds", "--end"),
    "--num-workers": ("--workers",),
    "--repeat": ("--loop",),
    "--video": (),
    "--source": (),
    "--input": (),
    "-i": (),
    "--data": (),
    "--dataset": (),
}
_COMMANDS = {
    "classify": ("predict", "detect", "infer", "inference", "recognize", "label", "test"),
    "watch": ("stream", "live", "camera", "webcam", "track", "monitor", "run"),
    "serve": ("server", "start"),
    "evaluate": ("val", "validate", "eval", "score"),
    "finetune": ("fine-tune", "tune"),
    "profile": ("benchmark", "bench", "flops", "summary"),
    "models": ("list", "zoo", "ls", "list-models"),
    "scan": ("index", "embed", "batch"),
    "inspect": ("info", "probe", "show"),
}


def in_our_words(error: CycloptsError) -> str:
    """The message of an error: what goes by another name elsewhere by ours, and what is missing as help has it."""
    said: str | None = None
    if isinstance(error, UnknownOptionError):
        option = (error.token.keyword or error.token.value).partition("=")[0]
        said = _option(option, {name for argument in error.argument_collection for name in argument.names})
    elif isinstance(error, UnknownCommandError):
        said = _command(error.unused_tokens or ())
    elif isinstance(error, MissingArgumentError) and error.argument is not None and error.argument.required:
        name = error.argument.name
        said = next(
            (_option(word, {name}) for word in error.unused_tokens or () if name in _OPTIONS.get(word, ())), None
        )
        if said is None:
            command = " ".join(("movinet", *(error.command_chain or ())))
            missing = name.removeprefix("--").upper() if error.argument.field_info.is_positional else name
            said = f"{command}: {missing} is missing (`{command} --help` shows examples)"
    return str(error) if said is None else said


def _option(typed: str, known: Collection[str]) -> str | None:
    ours = _OPTIONS.get(typed)
    if ours == ():
        return f"Unknown option: {typed}. What is looked at is named without an option: see --help."
    called = next((name for name in ours or () if name in known), None)
    return None if called is None else f"Unknown option: {typed}. Here it is {called}."


def _command(typed: Sequence[str]) -> str | None:
    ours = next((ours for ours, others in _COMMANDS.items() if typed and typed[0] in others), None)
    return (
        None
        if ours is None
        else f'Unknown command "{typed[0]}". Here it is movinet {ours}; `movinet --help` lists all.'
    )
