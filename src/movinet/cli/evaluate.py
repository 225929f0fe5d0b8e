"""The command evaluate."""

from pathlib import Path
from typing import Literal

from movinet.cli.app import DEFAULT_MODEL, Model, seconds
from movinet.cli.evaluate_events import evaluate_events
from movinet.cli.recognizing import load_recognizer, mode_of, tell_default
from movinet.errors import MovinetError
from movinet.evaluate.labeled_streams import read_streams
from movinet.runtime.engine import Precision
from movinet.runtime.factory import EngineKind


def evaluate(
    streams: Path,
    *,
    model: Model = None,
    labels: Path | None = None,
    videos: Path | None = None,
    protocol: Literal["events"] = "events",
    target_false_alarms: float = 0.5,
    off_share: float = 0.6,
    after: float = 2.0,
    background: tuple[str, ...] = ("other",),
    memory: float | None = None,
    engine: EngineKind = "auto",
    precision: Precision = "float32",
    fast: bool = False,
    threads: int | None = None,
    offline: bool = False,
    json: bool = False,
) -> int:
    """Measure how good the events of a stream network are: false alarms an hour against misses.

    Args:
        streams: a CSV file (file, label, start, end) or JSON as ActivityNet writes it: long videos and what happens
            in them. A row with a file alone is a video in which nothing happens.
        model: a name of `movinet models`, or a weights file; by default the bundled movinet_t0_stream.gestures.
        labels: a file with one label a line, for weights that bring none.
        videos: the folder that names of videos count from; that of the list by default.
        protocol: what is measured: events.
        target_false_alarms: an hour; the operating point is the lowest threshold that keeps to it.
        off_share: the probability below which an event ends, as a share of that at which it begins.
        after: seconds after its end within which something may be found.
        background: labels that are no events.
        memory: seconds after which a frame hardly counts any more, as in `movinet watch`.
        engine: what runs the network: auto takes the quickest that is installed.
        precision: what the engine computes in.
        fast: take the quickest precision this processor has.
        threads: of the processor; one by default.
        offline: never download.
        json: one JSON object, for programs.
    """
    for name, value in (("--target-false-alarms", target_false_alarms), ("--after", after), ("--memory", memory)):
        seconds(name, value)
    if not 0 < off_share <= 1:
        raise MovinetError(f"--off-share must lie between 0 and 1, got {off_share}")
    listed = read_streams(streams, videos)
    recognizer = load_recognizer(
        model or DEFAULT_MODEL, labels, offline, engine, mode_of(precision, fast), "cpu", threads, memory=memory
    )
    if model is None:
        tell_default(recognizer.info)
    return evaluate_events(
        recognizer,
        listed,
        streams,
        target=target_false_alarms,
        off_share=off_share,
        after=after,
        background=frozenset(background),
        memory=memory,
        as_json=json,
    )
