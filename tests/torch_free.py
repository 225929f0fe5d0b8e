"""A program: all that needs no PyTorch, command by command. `test_torch_line.py` runs it where that cannot be imported.

    python torch_free.py FOLDER [blocked]

FOLDER holds what `test_torch_line.py: inputs` puts there. With `blocked`, importing PyTorch fails; else it must not be
installed. Prints what went otherwise than it should, and exits with 1 if anything did.
"""

import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from io import StringIO

BRINGS = "pip install 'movinet[{}]' brings it"
TINY = "--model @/tiny_stream.safetensors"
# What is run, its exit code, and what it says.
COMMANDS = [
    ("--help", 0, "classify"),
    ("--version", 0, "."),
    ("classify --help", 0, "movinet classify"),
    ("models", 0, "movinet_a0_stream"),
    ("models --json", 0, "movinet_a0_stream"),
    ("demo", 0, "The hand drew star"),
    ("classify @/clip.mp4", 0, "star"),
    ("classify @/clip.mp4 --per-frame --json", 0, '"star"'),
    ("classify @/clip.mp4 --precision int8", 0, "star"),
    (f"classify @/clip.mp4 {TINY} --threads 2", 0, "left"),
    ("classify @/clip.mp4 --model @/stream.tflite", 0, "class 0"),
    (f"watch @/clip.mp4 {TINY} --seconds 0.4 --json", 0, '"prediction"'),
    (f"watch @/clip.mp4 @/other.mp4 {TINY} --seconds 0.4 --json", 0, '"prediction"'),
    ("inspect @/clip.mp4 --out @/seen.png", 0, "what the network sees"),
    ("evaluate @/clips.csv --report @/report.html", 0, "top-1 100.0%"),
    ("profile movinet_t0_stream --size 32 32 --repeats 1", 0, "ms"),
    ("convert @/stream.tflite @/stream.safetensors", 0, "5 classes"),
    ("classify @/clip.mp4 --model @/stream.safetensors", 0, "class 0"),
    ("convert @/saved.tar.gz @/saved.safetensors", 2, "fits none of the published networks"),
    ("convert movinet_t0_stream.gestures @/gestures.safetensors", 0, "11 classes"),
    ("export movinet_t0_stream.gestures --to litert --out @/litert", 0, "logits differ"),
    ("export movinet_t0_stream.gestures --to browser --out @/browser", 0, "logits differ"),
    ("classify @/clip.mp4 --model @/litert", 0, "star"),
    # What does need it says so.
    ("classify @/clip.mp4 --engine torch", 2, BRINGS.format("torch")),
    ("classify @/clip.mp4 --device cuda", 2, BRINGS.format("torch")),
    ("classify @/clip.mp4 --model @/tiny_base.safetensors", 2, BRINGS.format("torch")),
    ("classify @/clip.mp4 --model @/tiny_base.safetensors", 2, "tiny_base sees whole clips"),
    ("classify @/clip.mp4 --model @/pickled.pt", 2, BRINGS.format("torch")),
    ("convert @/pickled.pt @/pickled.safetensors", 2, BRINGS.format("torch")),
    ("profile movinet_t0_base --size 32 32", 2, BRINGS.format("torch")),
    ("export movinet_t0_stream.gestures --to executorch --out @/pte", 2, BRINGS.format("executorch")),
    ("export movinet_t0_stream.gestures --to coreml --out @/coreml", 2, BRINGS.format("coreml")),
    ("train gestures --dry-run", 2, BRINGS.format("train")),
    ("finetune @ --model movinet_t0_stream.gestures", 2, BRINGS.format("train")),
    ("search search_gestures --dry-run", 2, BRINGS.format("train")),
    ("data check @", 2, BRINGS.format("torch")),
    ("evaluate --gestures 11", 2, BRINGS.format("torch")),
]
WITH_PACKAGES = [
    ("openvino", "classify @/clip.mp4 --engine openvino", "star"),
    ("openvino", "export movinet_t0_stream.gestures --to openvino --out @/openvino", "logits differ"),
    ("onnxruntime", "export movinet_t0_stream.gestures --to onnx --out @/onnx", "logits differ"),
]


class Blocked:
    """Imports of PyTorch fail as where it is not installed."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def run(line: str, folder: str) -> tuple[int, str]:
    """A command's exit code and all that it prints."""
    from movinet.cli import main

    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            main(line.replace("@", folder).split())
        except SystemExit as stop:
            return int(stop.code or 0), said.getvalue()
        except Exception as error:
            return -1, f"{type(error).__name__}: {error}"
    return 0, said.getvalue()


def commands() -> Iterator[tuple[str, int, str]]:
    yield from COMMANDS
    yield from ((line, 0, text) for package, line, text in WITH_PACKAGES if find_spec(package))


def checkpoints(folder: str) -> set[str]:
    """The networks in TensorFlow's files, each of which runs."""
    from movinet.arch.serialize import read_spec
    from movinet.recognizer import Recognizer
    from movinet.weights.load import load_weights

    found = set()
    for name in ("saved.tar.gz", "checkpoint/trained"):
        weights = load_weights(f"{folder}/{name}", spec=read_spec(f"{folder}/official.yaml"))
        found.add(Recognizer(weights).classify(f"{folder}/clip.mp4").info.spec.name)
    return found


def pool(folder: str) -> str:
    """What a pool of two streams says of the clip's frames."""
    import movinet
    from movinet.video.decode import read_frames

    with movinet.StreamPool.load("movinet_t0_stream.gestures", max_streams=2) as streams:
        pair = streams.join(), streams.join()
        for frame in read_frames(f"{folder}/clip.mp4", fps=5.0):
            answers = [stream.submit(frame.rgb, frame.time) for stream in pair]
            labels = {answer.result().label for answer in answers if answer is not None}
        (label,) = labels
    return label


def missing_from_the_face() -> list[str]:
    """What the package's own names say where they need PyTorch."""
    import movinet

    said = []
    for use in (lambda: movinet.create_model("movinet_a0_stream"), lambda: movinet.MoViNet, lambda: movinet.Ensemble):
        try:
            use()
        except movinet.MovinetError as error:
            said.append(str(error))
    return said


if __name__ == "__main__":
    place = sys.argv[1]
    if sys.argv[2:] == ["blocked"]:
        sys.meta_path.insert(0, Blocked())  # type: ignore[arg-type]
    failed = False
    for line, code, text in commands():
        found, said = run(line, place)
        if found != code or text not in " ".join(said.split()):
            failed = True
            print(f"movinet {line}: exit code {found} where {code} was wanted, and {text!r}; it said:\n{said}")
    if (label := pool(place)) != "star":
        failed = True
        print(f"the pool says {label}")
    if checkpoints(place) != {"tiny"}:
        failed = True
        print(f"TensorFlow's files hold {checkpoints(place)}")
    if [BRINGS.format("torch") in said for said in missing_from_the_face()] != [True] * 3:
        failed = True
        print(f"of what needs PyTorch the face says {missing_from_the_face()}")
    if "torch" in sys.modules:
        failed = True
        print("PyTorch was imported")
    sys.exit(failed)
