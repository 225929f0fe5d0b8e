"""The command classify."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.text import Text

from movinet.cli.app import Model, at_least_one
from movinet.cli.console import bar, complain, out, print_json, print_prediction, progress_bar
from movinet.cli.inputs import opened_input, read_aspect, read_times, stretch, videos_below
from movinet.cli.recognizing import load_recognizer, mode_of, read_logins, source_of, tell_default, tell_promise
from movinet.errors import MovinetError, printable
from movinet.prediction import Prediction
from movinet.recognizer import Recognizer
from movinet.runtime.engine import Precision, live_memory
from movinet.runtime.exported import precision_of
from movinet.runtime.factory import EngineKind
from movinet.video.locations import Source, is_address
from movinet.video.net.sources import Limits, without_password
from movinet.weights.registry import DEFAULT_MODEL
from movinet.words import counted


def classify(
    *videos: str,
    model: Model = None,
    labels: Path | None = None,
    topk: int = 5,
    per_frame: bool = False,
    events: bool = False,
    start: str = "0",
    end: str | None = None,
    stream: int | None = None,
    aspect: str | None = None,
    credentials: Path | None = None,
    allow_hosts: Sequence[str] = (),
    insecure: bool = False,
    engine: EngineKind = "auto",
    precision: Precision = "float32",
    fast: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    offline: bool = False,
    no_cache: bool = False,
    json: bool = False,
) -> int:
    """Say what videos show.

    Args:
        videos: video files, folders of them, folders of images, addresses, or - for standard input.
        model: a name of `movinet models`, or a weights file; by default the bundled movinet_t0_stream.gestures.
        labels: a file with one label a line, or labels with commas between them, for weights that bring none.
        topk: how many labels to show.
        per_frame: show the answer after every frame, not only the last (stream networks).
        events: say what happens from when to when, with the thresholds that the network brings (stream networks).
        start: begin there: seconds (90.5), a time (0:01:30), or a frame (450f), by the video's average rate.
        end: stop there.
        stream: of a file with several video tracks, the one with this number, as ffprobe counts them; by default the
            one that moves.
        aspect: width to height of the picture, such as 16:9, where a camera or file says something else.
        credentials: a YAML file with users and passwords, by host.
        allow_hosts: hosts an address may lead to by redirect or playlist, beside its own: names, or `*.example.com`.
        insecure: take any certificate of an https server.
        engine: what runs a stream network: auto takes the quickest that is installed.
        precision: what the engine computes in; bfloat16 and float16 are quicker where the processor has them.
        fast: take the quickest precision this processor has, and the engine that has it; how often its labels are
            those of float32 is said where the weights know.
        device: where the network runs: cpu, cuda, mps.
        threads: of the processor; one for stream networks, all for base networks by default.
        offline: never download.
        no_cache: do not keep what the engine makes of the weights, which the next start would be spared.
        json: one JSON object a line, for programs.
    """
    if not videos:
        raise MovinetError("give at least one video file (`movinet classify --help` shows examples)")
    if events and per_frame:
        raise MovinetError("--events and --per-frame: choose one")
    at_least_one("--topk", topk)
    times = read_times(start, end)
    shape = None if aspect is None else read_aspect(aspect)
    mode = mode_of(precision, fast)
    recognizer = load_recognizer(
        model or DEFAULT_MODEL, labels, offline, engine, mode, device, threads, memory=None, cache=not no_cache
    )
    if model is None:
        tell_default(recognizer.info)
    if events:
        memory = live_memory(recognizer.engine, recognizer.info)  # a base network is refused here
        tell_promise(recognizer.info, memory, precision_of(recognizer.network, recognizer.engine))
    limits, logins = Limits(tuple(allow_hosts), verify=not insecure), read_logins(credentials)
    # Who waits for one file waits less with several decoding threads, which together work a quarter more.
    decoding = 0 if len(videos) == 1 and threads is None and out.is_terminal else 1
    failed = 0
    for given in videos:
        try:
            below = videos_below(given)
        except MovinetError as error:
            failed += 1
            complain(error)
            continue
        for video in below:
            name = _name_of(video, given)
            try:
                with opened_input(video) as path:
                    source = source_of(path, stream, logins, shape)
                    span = stretch(times, source, limits)
                    if events:
                        _tell_events(recognizer, video, name, source, span, limits, decoding, as_json=json)
                        continue
                    classify_one(recognizer, video, name, source, topk, per_frame, span, limits, decoding, as_json=json)
            except MovinetError as error:
                failed += 1
                complain(error)
    return 2 if failed else 0


def _name_of(video: str, given: str) -> str:
    """What a video is called in lines for people: within a folder by its place in it, else by its file's name."""
    if is_address(video):
        return printable(without_password(video))
    path = Path(video)
    return printable(path.name if video == given else str(path.relative_to(given)))


def _tell_events(
    recognizer: Recognizer,
    video: str,
    name: str,
    source: Source,
    span: tuple[float, float | None],
    limits: Limits,
    decoding_threads: int,
    *,
    as_json: bool,
) -> None:
    told = without_password(video) if is_address(video) else video
    named = False
    for event in recognizer.events(source, *span, limits=limits, decoding_threads=decoding_threads):
        if as_json:
            times = {"start": round(event.start, 3), "end": round(event.end or 0.0, 3)}
            print_json({"video": told, "label": event.label, **times, "confidence": round(event.confidence, 6)})
        else:
            if not named:
                out.print(name, style="bold")
                named = True
            out.print(f"  {event.start:7.1f}–{event.end:.1f} s  {event.confidence:5.0%}  {event.label}")
    if not named and not as_json:
        out.print(Text.assemble((name, "bold"), "  no event"))


def classify_one(
    recognizer: Recognizer,
    video: str,
    name: str,
    source: Source,
    topk: int,
    per_frame: bool,
    span: tuple[float, float | None],
    limits: Limits,
    decoding_threads: int = 1,
    *,
    as_json: bool,
) -> Prediction:
    start, end = span
    told = without_password(video) if is_address(video) else video
    if per_frame and not as_json:
        out.print(name, style="bold")
    if per_frame and not recognizer.info.spec.causal:
        raise MovinetError(f"--per-frame needs a stream network; {recognizer.info.name} sees whole clips only")
    # Where every frame has a line of its own, the lines are the progress.
    with nullcontext() if per_frame else progress_bar(name) as progress:
        if not per_frame:
            prediction = recognizer.classify(
                source, start, end, limits=limits, decoding_threads=decoding_threads, progress=progress
            )
        else:
            for prediction in recognizer.stream(source, start, end, limits=limits, decoding_threads=decoding_threads):
                if as_json:
                    print_json({"video": told, **prediction.to_dict(topk)})
                else:
                    print_prediction(prediction, topk)
            return prediction
    info = recognizer.info
    if as_json:
        print_json({"video": told, "model": info.name, **prediction.to_dict(topk)})
        return prediction
    read = f"  {counted(prediction.frames, 'frame')} at {info.transform.fps:g} a second, {info.name}"
    out.print(Text.assemble((name, "bold"), read))
    for label, probability in prediction.top(topk):
        out.print(f"  {probability:6.1%}  {bar(probability)}  {label}")
    return prediction
