"""The command evaluate."""

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from movinet.cli.app import Model, at_least_one, seconds
from movinet.cli.evaluate_clips import evaluate_clips
from movinet.cli.recognizing import load_recognizer, mode_of, tell_default
from movinet.errors import MovinetError
from movinet.evaluate.clip_protocols import Protocol, cannot_stream
from movinet.runtime.engine import Precision
from movinet.runtime.factory import EngineKind
from movinet.runtime.open_network import named_spec
from movinet.weights.registry import DEFAULT_MODEL

_DATA = Parameter(group=Group("Data", sort_key=1))
_CLIPS = Parameter(group=Group("Clips", sort_key=2))
_EVENTS = Parameter(group=Group("Events", sort_key=3))
_RESULT = Parameter(group=Group("Result", sort_key=4))
_RUN = Parameter(group=Group("Running", sort_key=5))


def evaluate(
    *data: Path,
    model: Model = None,
    protocol: Literal["clip", "multi-clip", "stream", "events"] | None = None,
    labels: Path | None = None,
    videos: Annotated[Path | None, _DATA] = None,
    split: Annotated[Sequence[str], _DATA] = (),
    skip_missing: Annotated[bool, _DATA] = False,
    skip_unknown: Annotated[bool, _DATA] = False,
    folder_fps: Annotated[float | None, _DATA] = None,
    gestures: Annotated[int | None, _DATA] = None,
    frames: Annotated[int | None, _CLIPS] = None,
    clips: Annotated[int | None, _CLIPS] = None,
    crops: Annotated[int | None, _CLIPS] = None,
    spread: Annotated[bool, _CLIPS] = False,
    target_false_alarms: Annotated[float, _EVENTS] = 0.5,
    off_share: Annotated[float | None, _EVENTS] = None,
    after: Annotated[float, _EVENTS] = 2.0,
    background: Annotated[tuple[str, ...], _EVENTS] = (),
    save: Annotated[bool, _EVENTS] = False,
    exported: Annotated[Sequence[Path], _EVENTS] = (),
    alarms: Annotated[Path | None, _EVENTS] = None,
    results: Annotated[Path | None, _RESULT] = None,
    report: Annotated[Path | None, _RESULT] = None,
    json: Annotated[bool, _RESULT] = False,
    memory: Annotated[float | None, _RUN] = None,
    engine: Annotated[EngineKind, _RUN] = "auto",
    precision: Annotated[Precision, _RUN] = "float32",
    fast: Annotated[bool, _RUN] = False,
    device: Annotated[str, _RUN] = "cpu",
    threads: Annotated[int | None, _RUN] = None,
    offline: Annotated[bool, _RUN] = False,
) -> int:
    """Measure how good a network is on labeled videos: accuracy of clips and streams, or false alarms of events.

    Args:
        data: what `movinet data check` reads: a folder with a folder of videos per class, or lists of videos. For
            events: a CSV file (file, label, start, end) or JSON as ActivityNet writes it: long videos and what happens
            in them. A row with a file alone is a video in which nothing happens.
        model: a name of `movinet models`, a weights file, or what was exported; by default the bundled
            movinet_t0_stream.gestures.
        protocol: how the network is asked: one clip from the middle of each video; multi-clip, the mean of several
            overlapping clips and crops; stream, frame by frame; events. By default stream for stream networks and clip
            for others.
        labels: a file with one label a line, or labels with commas between them, for weights that bring none.
        videos: the folder that names of videos count from; that of the list by default.
        split: which splits of the set; by default those for testing, or for validation, or all.
        skip_missing: leave out listed videos that are not there.
        skip_unknown: leave out videos with a label that the network does not know.
        folder_fps: at which rate folders of images were taken; that of the network by default.
        gestures: instead of data, render so many synthetic gestures that no training sees.
        frames: of a clip; those the network was made for by default. A clip longer than that ends with its video, and
            is held in memory, within a gigabyte.
        clips: of a video, for multi-clip; 10 by default.
        crops: of a clip, along the longer side, for multi-clip; 3 by default.
        spread: spread the frames of a clip over the whole video.
        target_false_alarms: an hour; the operating point is the lowest threshold that keeps to it.
        off_share: the probability below which an event ends, as a share of that at which it begins; chosen by
            default, like all else.
        after: seconds after its end within which something may be found.
        background: labels that are no events; by default what the weights call so, or `other`.
        save: write the thresholds, and what they give, into the model's file, from where `movinet watch` takes them.
        exported: folders with exports of these weights that they are written into, too.
        alarms: write the false alarms into this list (file, label, start, end), which `movinet finetune --mined` takes.
        results: keep what the network says of each video in this file. With or without, a run that was interrupted goes
            on where it was when it is repeated.
        report: write figures and plots into this HTML file, which needs no network.
        json: one JSON object, for programs.
        memory: seconds after which a frame hardly counts any more, 0 for never; by default as the network was trained,
            and for events as in `movinet watch`.
        engine: what runs the network: auto takes the quickest that is installed.
        precision: what the engine computes in.
        fast: take the quickest precision this processor has.
        device: where the network runs: cpu, cuda, mps.
        threads: of the processor; one for stream networks, all for base networks by default.
        offline: never download.
    """
    for name, value in (("--target-false-alarms", target_false_alarms), ("--after", after), ("--memory", memory)):
        seconds(name, value)
    if off_share is not None and not 0 < off_share <= 1:
        raise MovinetError(f"--off-share must lie between 0 and 1, got {off_share}")
    if folder_fps is not None and not 0 < folder_fps < inf:
        raise MovinetError(f"--folder-fps must be positive, got {folder_fps}")
    if gestures is not None:
        at_least_one("--gestures", gestures)
    if bool(data) == (gestures is not None):
        raise MovinetError(
            "give a folder or a list of labeled videos (`movinet evaluate --help` shows examples), or --gestures N"
        )
    views = {name: number for name, number in (("clips", clips), ("crops", crops)) if number is not None}
    if protocol != "multi-clip":
        _refuse({f"--{name}": number for name, number in views.items()}, "belongs to --protocol multi-clip")
    listed = None
    if protocol == "events":
        of_clips: dict[str, object] = {"--frames": frames, "--spread": spread, "--split": split, "--gestures": gestures}
        of_clips |= {"--skip-missing": skip_missing, "--skip-unknown": skip_unknown, "--folder-fps": folder_fps}
        _refuse(of_clips | {"--results": results, "--report": report}, "does not go with --protocol events")
        if len(data) != 1:
            raise MovinetError("--protocol events wants one list of long videos and what happens in them")
        from movinet.evaluate.labeled_streams import read_streams

        listed = read_streams(data[0], videos)
    else:
        of_events: dict[str, object] = {"--save": save, "--exported": exported, "--alarms": alarms}
        of_events |= {"--background": background, "--off-share": off_share}
        _refuse(of_events, "belongs to --protocol events")
        Protocol(protocol or "clip", frames, spread=spread, **views)  # what is wrong with it is told at once
    spec = named_spec(model or DEFAULT_MODEL)
    if protocol in ("stream", "events") and spec is not None and not spec.causal:  # before a download for nothing
        raise cannot_stream(model or DEFAULT_MODEL)
    recognizer = load_recognizer(
        model or DEFAULT_MODEL, labels, offline, engine, mode_of(precision, fast), device, threads, memory=memory
    )
    if model is None:
        tell_default(recognizer.info)
    if listed is not None:
        from movinet.cli.evaluate_events import evaluate_events

        return evaluate_events(
            recognizer,
            listed,
            data[0],
            model=model or DEFAULT_MODEL,
            target=target_false_alarms,
            off_share=off_share,
            after=after,
            background=frozenset(background) or None,
            memory=memory,
            save=save,
            exported=exported,
            alarms=alarms,
            as_json=json,
        )
    assert protocol != "events"
    kind = protocol or ("stream" if recognizer.info.spec.causal and frames is None and not spread else "clip")
    return evaluate_clips(
        recognizer,
        data,
        Protocol(kind, frames, spread=spread, **views),
        gestures=gestures,
        videos=videos,
        split=split,
        skip_missing=skip_missing,
        skip_unknown=skip_unknown,
        folder_fps=folder_fps,
        results=results,
        report=report,
        memory=memory,
        as_json=json,
    )


def _refuse(options: Mapping[str, object], why: str) -> None:
    """An option that would be ignored is an error: who gave it believes that it did something."""
    for name, value in options.items():
        if value is not None and value is not False and value != ():
            raise MovinetError(f"{name} {why}")
