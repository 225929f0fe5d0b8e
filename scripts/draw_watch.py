"""Draw docs/images/watch.svg: what `movinet watch` shows while two rendered gestures play one after the other.

python scripts/draw_watch.py docs/images/watch.svg
"""

import argparse
from collections.abc import Iterator
from itertools import chain

from rich.console import Console

from movinet.data.synthetic import render_gesture
from movinet.events import EventDetector
from movinet.recognizer import Recognizer
from movinet.video.decode import Frame
from movinet.watching import View, watch

MODEL = "movinet_t0_stream.gestures"


class Played:
    """Frames that are there already, in the place of a live source."""

    dropped = reconnects = 0

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        return self._frames


def gestures(labels: list[str], seed: int, fps: float) -> Iterator[Frame]:
    """Clips of four seconds each, one after the other."""
    clips = [render_gesture(label, seed, (192, 256), round(4 * fps), fps).frames for label in labels]
    for n, rgb in enumerate(chain.from_iterable(clips)):
        yield Frame(rgb, n / fps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--gestures", nargs="+", default=["star", "swipe_left"])
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    recognizer = Recognizer.load(MODEL, memory=2.0)
    source = Played(gestures(args.gestures, args.seed, recognizer.info.transform.fps))
    view, picture = View("camera 0", MODEL), None
    for glance in watch(recognizer, source, EventDetector(ignore=frozenset({"other"}))):
        picture = view.render(glance)
    assert picture is not None
    console = Console(record=True, width=76, file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115
    console.print(picture)
    console.save_svg(args.out, title="movinet watch 0")


if __name__ == "__main__":
    main()
