"""The command demo."""

from pathlib import Path

from rich.text import Text

from movinet.cli.classify import classify_one
from movinet.cli.console import complain, out
from movinet.cli.recognizing import load_recognizer
from movinet.errors import MovinetError
from movinet.video.net.sources import DEFAULT_LIMITS
from movinet.video.sample import LABEL, sample_clip
from movinet.weights.registry import DEFAULT_MODEL


def demo(*, json: bool = False) -> int:
    """Recognize what a hand draws, frame by frame, in the clip that comes with movinet. Needs no network.

    Args:
        json: one JSON object a line, for programs.
    """
    recognizer = load_recognizer(DEFAULT_MODEL, None, True, "auto", "float32", "cpu", None, memory=None)
    clip = str(sample_clip())
    prediction = classify_one(
        recognizer, clip, Path(clip).name, clip, 3, True, (0.0, None), DEFAULT_LIMITS, as_json=json
    )
    if prediction.label != LABEL:
        complain(MovinetError(f"the hand drew {LABEL}, but the network says {prediction.label}"))
        return 1
    if not json:
        out.print(Text.assemble("\nThe hand drew ", (LABEL, "bold green"), ", and the network says so."))
        out.print("Now yours: `movinet watch 0` looks through your camera, `movinet classify VIDEO` at a file.")
    return 0
