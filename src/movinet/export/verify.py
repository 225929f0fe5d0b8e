"""An exported file, run as its manifest says, answers as the network it was made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.step import FRAMES, LOGITS
from movinet.deploy.network import FoldedNetwork, folded_network
from movinet.deploy.reference import State, reference_clip, reference_step
from movinet.deploy.run_file import Run
from movinet.errors import MovinetError
from movinet.export.written import Precision
from movinet.video.decode import read_frames
from movinet.video.sample import sample_clip
from movinet.video.transform import Transform, scale_levels
from movinet.weights.weights import Weights

TOLERANCES: dict[Precision, float] = {"float32": 1e-4, "float16": 0.05, "int8": 0.2}  # of the largest logit


@dataclass(frozen=True)
class Checked:
    """How near a file's logits came to the network's."""

    frames: int
    largest_difference: float
    largest_logit: float
    same_answer: float  # share of the answers with the same likeliest class

    @property
    def error(self) -> float:
        """The largest difference as a share of the largest logit."""
        return self.largest_difference / max(self.largest_logit, 1e-30)


def check(manifest: Mapping[str, Any], run: Run, weights: Weights, frames: int = 20) -> Checked:
    """Run a file on video and compare its logits with those of the reference, frame by frame.

    Args:
        manifest: what a program would go by; this one does too.
        run: the file in its runtime.
        weights: what was exported.
        frames: of video, rounded up to whole calls.

    Raises:
        MovinetError: they differ by more than the precision allows.
    """
    streams, at_once = manifest["streams"], manifest["frames"]
    transform = Transform.from_dict(manifest["transform"])
    clips = example_clips(transform, streams, max(1, -(-frames // at_once)) * at_once)
    steps = [clips[:, :, t : t + at_once] for t in range(0, clips.shape[2], at_once)]
    made, expected = follow(manifest, run, steps), _followed(folded_network(weights, transform.size), steps)
    difference, largest = float(np.abs(made - expected).max()), float(np.abs(expected).max())
    same = float((made.argmax(-1) == expected.argmax(-1)).mean())
    checked = Checked(clips.shape[2], difference, largest, same)
    # Not `>`: answers that are no numbers fail too.
    if not checked.error <= TOLERANCES[manifest["precision"]]:
        raise MovinetError(
            f"the exported {manifest['format']} file answers otherwise than the network: logits differ by up to "
            f"{difference:.3g}, the largest being {largest:.3g}; nothing was written"
        )
    return checked


def follow(manifest: Mapping[str, Any], run: Run, steps: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The logits (steps, B, num_classes) of an exported network, its state handed on as the manifest says.

    Args:
        manifest, run: the file.
        steps: the frames of each call, (B, 3, T, H, W) in [0, 1].
    """
    state = {
        port["name"]: np.full(port["shape"], port["initial"], dtype=port["dtype"]) for port in manifest.get("state", ())
    }
    answers = []
    for step in steps:
        frames = np.ascontiguousarray(_arranged(step, manifest["input"]))
        inputs = {manifest["input"]["name"]: frames, **state}
        outputs = run(inputs)
        known = {**inputs, **outputs}
        state = {port["name"]: known[port["next"]] for port in manifest.get("state", ())}
        answers.append(outputs[LOGITS].copy())
    return np.stack(answers)


def example_clips(transform: Transform, streams: int, frames: int) -> NDArray[np.float32]:
    """Real motion for each stream, (B, 3, T, H, W), prepared as the network wants it: the bundled clip, beginning at
    another frame in every stream, forwards and backwards without an end."""
    levels = np.stack([frame.levels(transform) for frame in read_frames(sample_clip())])
    images = scale_levels(levels, transform.scale)
    back_and_forth = np.concatenate([images, images[-2:0:-1]])
    clips = [back_and_forth[(7 * stream + np.arange(frames)) % len(back_and_forth)] for stream in range(streams)]
    return np.ascontiguousarray(np.stack(clips).transpose(0, 4, 1, 2, 3))


def _arranged(frames: NDArray[np.float32], port: Mapping[str, Any]) -> NDArray[np.float32]:
    """(B, 3, T, H, W) in the axes of the input: a clip's own, or frames one after the other."""
    if port["name"] != FRAMES:
        return frames
    images = frames.transpose(2, 0, 1, 3, 4).reshape(-1, *frames.shape[1:2], *frames.shape[3:])
    return images.transpose(0, 2, 3, 1) if port["layout"].endswith("RGB") else images


def _followed(network: FoldedNetwork, steps: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    answers: list[NDArray[Any]] = []
    state: State | None = None
    for step in steps:
        if network.spec.causal:
            logits, state = reference_step(network, step, state)
        else:
            logits = reference_clip(network, step)
        answers.append(logits)
    return np.stack(answers).astype(np.float32)
