"""Endless synthetic streams of air gestures (the renderer is being built)."""

from movinet.data.streams import StreamChunk, TargetRule
from movinet.data.synthetic.gesture_dataset import TRAINING_SEEDS
from movinet.data.synthetic.paths import GESTURES
from movinet.errors import MovinetError
from movinet.video.transform import Transform


class GestureLanes:
    """Args:
    size: Height and width in pixels.
    fps: Frames a second.
    frames: Of a chunk.
    rule: From when and until when a label is wanted.
    clips: The share of the lanes, the last of them, that show single clips, each begun anew.
    lanes: How many there are.
    seed: Of all that is drawn.
    seeds: From which scenes are drawn.
    """

    classes = GESTURES
    background = "other"

    def __init__(
        self,
        size: tuple[int, int],
        fps: float,
        frames: int,
        *,
        rule: TargetRule,
        clips: float = 0.0,
        lanes: int = 16,
        seed: int = 0,
        seeds: range = TRAINING_SEEDS,
    ) -> None:
        self.transform = Transform(size, min(size), fps)
        self.frames, self.rule, self.clips, self.lanes, self.seed, self.seeds = frames, rule, clips, lanes, seed, seeds

    def chunk(self, lane: int, number: int) -> StreamChunk:
        """Chunk `number` of a lane."""
        raise MovinetError("synthetic streams cannot be rendered yet")
