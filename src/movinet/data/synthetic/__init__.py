"""A renderer of air gestures, as a head-mounted camera sees a hand draw them, and data sets of them.

`gesture_clips` renders a clip of a label and a seed: `paths` says where the fingertip goes, `motion` how arm and camera
move, `hand` what a hand looks like, `background` and `textures` what is behind it, `render` puts them into frames, and
`camera` exposes these. `gesture_dataset` gives clips as training examples.

`gesture_streams` does so with streams that never end: `stream_plan` says what happens when, `stream_motion` how a hand
goes on for minutes, `stream_render` puts it into frames from any frame on; `write_streams` makes videos of it.
"""

from movinet.data.synthetic.gesture_clips import GestureClip, render_gesture, write_dataset
from movinet.data.synthetic.paths import GESTURES

__all__ = ["GESTURES", "GestureClip", "render_gesture", "write_dataset"]
