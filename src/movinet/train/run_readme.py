"""A run's folder explains itself: its README says what is in it, how it came about and what to do with it."""

import platform
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from movinet import __version__
from movinet.cores import usable_cores
from movinet.data.dataset import ClipDataset, LabeledClips
from movinet.data.stream_chunks import StreamChunks
from movinet.files import write_atomically, write_json
from movinet.reading import parse_json
from movinet.train.datasets import Sets
from movinet.train.verdict import UNKNOWN, Verdict
from movinet.words import counted

README, SESSIONS = "README.md", "sessions.json"
_FILES = {
    "model.safetensors": "the best network, with its transform, labels, scores and recipe: all that is needed",
    "metrics.json": "scores of that network, by class where there was a test",
    "recipe.yaml": "what was done; `movinet train` takes it",
    "network.yaml": "the network, which was not of the zoo",
    "curves.png": "loss, scores and learning rate over time",
    "confusion.png": "which class is taken for which in the validation set, by that network",
    "test_confusion.png": "the same in the test set",
    "test_answers.csv": "what it said of every test clip",
    "steps.csv": "a row for every update",
    "epochs.csv": "a row for every epoch",
    "tensorboard": "the same figures for TensorBoard (`tensorboard --logdir …`)",
    "checkpoint.safetensors": "the state of the training, to go on from; not needed afterwards",
    SESSIONS: "when, where and by which commands the run was carried out",
}
_MOST = 40  # classes in a table


def describe_run(
    folder: str | Path,
    *,
    network: str,
    sets: Sets,
    command: Sequence[str],
    began: datetime,
    ended: datetime | None = None,
    finished: bool = False,
    scores: Mapping[str, float] | None = None,
    verdict: Verdict = UNKNOWN,
) -> None:
    """Write the folder's `README.md`, and note the session in `sessions.json`: at its beginning, and again at its end.

    Args:
        folder: Of the run; what is in it by now is explained.
        network: What is trained, in a few words.
        sets: What it is trained on.
        command: With its arguments.
        began: The session; by this it is known again.
        ended: None while it is going on.
        finished: The run has come to its end.
        scores: `validation_top1`, `test_map`, …, shares; those that are not shares are left out.
        verdict: How far these can be trusted.

    Raises:
        MovinetError: They cannot be written.
    """
    folder = Path(folder)
    about = [
        f"{network}, {counted(len(sets.train.classes), 'class', 'classes')}.",
        *_going_on(folder, finished),
        *_results(folder, scores or {}, verdict),
    ]
    write_readme(folder, about, files=_FILES, sets=sets, command=command, began=began, ended=ended)


def write_readme(
    folder: Path,
    about: Sequence[str],
    *,
    files: Mapping[str, str],
    sets: Sets,
    command: Sequence[str],
    began: datetime,
    ended: datetime | None,
) -> None:
    """Write a folder's `README.md` and note the session in its `sessions.json`.

    Args:
        folder: To explain.
        about: What is to be said first, by paragraph.
        files: What may lie in the folder, and what for.
        sets, command, began, ended: See `describe_run`.

    Raises:
        MovinetError: They cannot be written.
    """
    sessions = [session for session in _read_sessions(folder) if session["began"] != began.isoformat()]
    sessions.append(
        {
            "began": began.isoformat(),
            "ended": ended.isoformat() if ended else None,
            "command": shlex.join(command),
            "movinet": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": _machine(),
        }
    )
    write_json(folder / SESSIONS, sessions)
    there = [(f"[{name}]({name})", what) for name, what in files.items() if (folder / name).exists()]
    paragraphs = [
        f"# {folder.resolve().name}",
        *about,
        "## Files",
        _table(("file", ""), there),
        *(["## Streams", *_streams(sets)] if isinstance(sets.train, StreamChunks) else ["## Clips", *_clips(sets)]),
        "## How it was carried out",
        _table(("began", "lasted", "command", "with", "on"), map(_session, sessions)),
    ]
    text = "\n\n".join(paragraphs)
    write_atomically(folder / README, f"{text}\n".encode(errors="surrogateescape"))


def _going_on(folder: Path, finished: bool) -> list[str]:
    model = shlex.quote(str(folder / "model.safetensors"))
    use = f"```sh\nmovinet classify VIDEO --model {model}\nmovinet watch 0 --model {model}\n```"
    if finished:
        return ["The run is finished. To use the network:", use]
    resume = f"```sh\nmovinet train --resume {shlex.quote(str(folder))}\n```"
    best = ["To use the best network so far:", use] if (folder / "model.safetensors").exists() else []
    return ["The run is not finished. If it was interrupted, this goes on with it:", resume, *best]


def _results(folder: Path, scores: Mapping[str, float], verdict: Verdict) -> list[str]:
    shares = {name: value for name, value in scores.items() if name.endswith(("top1", "top5", "map", "event_f1"))}
    names = {"top1": "top-1", "top5": "top-5", "map": "mean average precision", "event_f1": "best F1 of events"}
    rows = []
    for name, value in shares.items():
        split, _, score = name.partition("_")
        rows.append((f"{split} {names[score]}", f"{value:.1%}{verdict.beside(name, scores)}"))
    pictures = [f"![{name}]({name})" for name in _FILES if name.endswith(".png") and (folder / name).exists()]
    if not rows and not pictures:
        return []
    compared = verdict.compared(scores)
    words = [f"{compared[0].upper()}{compared[1:]}."] if compared else []
    return ["## Results", *([_table(("score", ""), rows)] if rows else []), *words, *pictures]


def _streams(sets: Sets) -> list[str]:
    parts = {"training": sets.train, "validation": sets.validation, "test": sets.test}
    there = {name: part for name, part in parts.items() if isinstance(part, StreamChunks)}
    rows = [(name, str(part.count), str(part.chunks)) for name, part in there.items()]
    about = f"Of {', '.join(sets.train.classes)}; {there['training'].lanes.background} is where nothing happens."
    return [about, _table(("", "streams side by side", "chunks of each in an epoch"), rows)]


def _clips(sets: Sets) -> list[str]:
    parts = {"training": sets.train, "validation": sets.validation, "test": sets.test}
    there = {name: part for name, part in parts.items() if part is not None}
    counts = {name: _count(part) for name, part in there.items()}
    rows = [("all", *(str(len(part)) for part in there.values()))]
    classes = sets.train.classes
    if len(classes) <= _MOST:
        rows += [(label, *(str(count[label]) for count in counts.values())) for label in classes]
    else:
        each = [sorted(count[label] for label in classes) for count in counts.values()]
        rows.append((f"each of {len(classes)} classes", *(f"{count[0]} to {count[-1]}" for count in each)))
    notes = ["A clip may show any number of classes."] if sets.train.multi_label else []
    notes += [
        f"Of those for {name} could not be read, and were left out: {', '.join(files)}."
        for name, part in there.items()
        if (files := [f"`{file}`" for file in _broken(part)])
    ]
    return [*notes, _table(("class", *there), rows)]


def _broken(clips: LabeledClips) -> list[str]:
    """Files that could not be read so far."""
    if not isinstance(clips, ClipDataset):
        return []
    return [str(video.path) for video, broken in zip(clips.videos, clips.broken.tolist(), strict=True) if broken]


def _count(clips: LabeledClips) -> Counter[str]:
    return Counter(label for index in range(len(clips)) for label in clips.labels_of(index))


def _session(session: Mapping[str, Any]) -> tuple[str, ...]:
    began = datetime.fromisoformat(session["began"])
    lasted = str(datetime.fromisoformat(session["ended"]) - began).partition(".")[0] if session["ended"] else ""
    versions = f"movinet {session['movinet']}, torch {session['torch']}, Python {session['python']}"
    return f"{began:%Y-%m-%d %H:%M}", lasted, f"`{session['command']}`", versions, session["machine"]


def _read_sessions(folder: Path) -> list[dict[str, Any]]:
    """Earlier sessions; none where the file is not what was written here."""
    try:
        sessions = parse_json((folder / SESSIONS).read_bytes())
        return [session for session in sessions if _session(session)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _machine() -> str:
    cores = usable_cores()
    gpus = Counter(torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count()))
    return ", ".join([f"{cores} cores of {_processor()}", *(f"{count} × {name}" for name, count in gpus.items())])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    cells = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
