"""What is judged: a network with its engine and preprocessing, as the protocols ask it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from movinet.costs import macs_per_clip
from movinet.deploy.read_manifest import Manifest
from movinet.errors import MovinetError
from movinet.prediction import probabilities_of
from movinet.recognizer import Recognizer
from movinet.runtime.engine import Clips, Logits, forgetting, with_decays
from movinet.runtime.exported import ExportedNetwork, answers_hash
from movinet.runtime.foreign_tflite import ForeignFile
from movinet.runtime.images import write_scaled
from movinet.runtime.whole_video import TOGETHER
from movinet.video.frame import Frame
from movinet.video.transform import Transform, scale_levels

Probabilities = NDArray[np.float32]
"""(num_classes,), summing to 1 unless the network is one for several labels."""


@dataclass(frozen=True)
class Judged:
    """A network that answers for clips and, where it can, after every frame.

    Args:
        name: for people.
        hash: of the weights.
        answers_hash: of all that decides the answers but the engine: with another, a run that was interrupted does not
            go on.
        runs_on: engine and precision, in words.
        labels: in the order of the answers; None where none are known.
        num_classes: that an answer has.
        multi_label: whether each class has a probability of its own.
        transform: what it wants of a frame.
        clip_frames: of the clips it was made for.
        any_length: whether it takes clips of other lengths.
        answer: what a clip shows: frames at the transform's rate, at least one.
        answers: what is thought after every frame of a stream, one stream at a time; None of a network that sees whole
            clips.
        macs: multiply-adds of a clip of so many frames; None where nobody knows.
    """

    name: str
    hash: str
    answers_hash: str
    runs_on: str
    labels: tuple[str, ...] | None
    num_classes: int
    multi_label: bool
    transform: Transform
    clip_frames: int
    any_length: bool
    answer: Callable[[Iterable[Frame]], Probabilities]
    answers: Callable[[Iterable[Frame]], Iterator[Probabilities]] | None
    macs: Callable[[int], float] | None


def judge(recognizer: Recognizer) -> Judged:
    """A network as `classify` runs it: weights on any engine in any precision, or an exported file."""
    info, network = recognizer.info, recognizer.network
    spec, source = info.spec, network.source if isinstance(network, ExportedNetwork) else None
    frames, fixed = spec.frames, False
    if isinstance(source, Manifest) and not spec.causal:
        frames, fixed = source.frames, True
    computed = recognizer.runs_on
    if isinstance(network, ExportedNetwork):
        computed = f"its own file, {network.kind} in {network.precision}"

    return Judged(
        name=info.name,
        hash=network.hash,
        answers_hash=answers_hash(network),
        runs_on=computed,
        labels=info.labels,
        num_classes=spec.num_outputs,
        multi_label=info.multi_label,
        transform=info.transform,
        clip_frames=frames,
        any_length=not fixed,
        answer=lambda shown: _sound(recognizer.classify_frames(shown).probabilities, info.name),
        answers=_streams(recognizer) if spec.causal else None,
        # What a stranger's file computes is not known: it is only taken for the network that it resembles.
        macs=None if isinstance(source, ForeignFile) else partial(macs_per_clip, spec, info.transform.size),
    )


def _streams(recognizer: Recognizer) -> Callable[[Iterable[Frame]], Iterator[Probabilities]]:
    """What streams are run by: the engine itself, since a session's work for live streams takes a small network a
    quarter of its step. Streams follow each other in one batch, whose buffers take as long to make as a step."""
    info, engine, memory = recognizer.info, recognizer.engine, recognizer.memory
    batch = engine.init_state()
    beginning = engine.get_state(batch, 0)
    if memory is not None:
        beginning = with_decays(engine, beginning, forgetting(engine, info.spec, memory))
    images = np.zeros((1, *info.transform.size, 3), np.float32)

    def answers(shown: Iterable[Frame]) -> Iterator[Probabilities]:
        engine.set_states(batch, {0: beginning})
        levels = (frame.levels(info.transform) for frame in shown)
        while together := list(islice(levels, TOGETHER)):
            logits = np.empty((len(together), info.spec.num_outputs), np.float32)
            for image, row in zip(together, logits, strict=True):
                write_scaled(image, info.transform.scale, images[0])
                row[:] = engine.step(images, batch)
            yield from _sound(probabilities_of(logits, info), info.name)

    return answers


def judge_clips(
    run: Callable[[Clips], Logits],
    *,
    name: str,
    labels: tuple[str, ...],
    transform: Transform,
    clip_frames: int,
    hash: str = "",
    multi_label: bool = False,
    macs: Callable[[int], float] | None = None,
) -> Judged:
    """Any function of clips, such as a network in PyTorch that is none of ours.

    >>> judge_clips(lambda clips: model(torch.from_numpy(clips)).numpy(), name="x3d_s", labels=labels, ...)

    Args:
        run: clips (1, 3, T, H, W) float32, scaled as the transform says, to logits (1, num_classes).
        name: for people.
        labels: in the order of the logits.
        transform: of the frames.
        clip_frames: T.
        hash: of its weights, so that an interrupted run goes on with the same.
        multi_label: whether each class has a probability of its own.
        macs: multiply-adds of a clip of so many frames.
    """

    def answer(shown: Iterable[Frame]) -> Probabilities:
        levels = np.stack([frame.levels(transform) for frame in shown])
        clip = scale_levels(levels.transpose(3, 0, 1, 2), transform.scale)
        logits = np.asarray(run(np.ascontiguousarray(clip[None])), np.float64)[0]
        if multi_label:
            return _sound((1 / (1 + np.exp(-np.clip(logits, -80, 80)))).astype(np.float32), name)
        exponentials = np.exp(logits - logits.max())
        return _sound((exponentials / exponentials.sum()).astype(np.float32), name)

    return Judged(
        name, hash, hash, "a function of clips", labels, len(labels), multi_label, transform, clip_frames, True, answer,
        None, macs,
    )  # fmt: skip


def _sound(probabilities: Probabilities, name: str) -> Probabilities:
    if not np.isfinite(probabilities).all():
        raise MovinetError(f"{name} answers with what is no number: are its weights damaged?")
    return probabilities
