"""Draw docs/images/watch.svg: what `movinet watch` shows at the end of a rendered gesture, played in real time.

python scripts/draw_watch.py docs/images/watch.svg
"""

import argparse
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from rich.console import Console

from movinet.data.encode import encode_video
from movinet.data.synthetic import GESTURES, render_gesture
from movinet.events import EventDetector
from movinet.recognizer import Recognizer
from movinet.video.live import LiveSource
from movinet.watching import View, watch

MODEL = "movinet_t0_stream.gestures"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--gesture", choices=GESTURES, default="star")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    recognizer = Recognizer.load(MODEL, memory=5.0)
    spec, name = recognizer.info.spec, f"{args.gesture}.mp4"
    view = View(name, MODEL)
    with TemporaryDirectory() as folder:
        clip = render_gesture(args.gesture, args.seed, (192, 256), spec.frames, spec.fps)
        encode_video(Path(folder) / name, clip.frames, spec.fps)
        with LiveSource(Path(folder) / name, spec.fps) as source:
            for glance in watch(recognizer, source, EventDetector(on=0.75, off=0.5, ignore=frozenset({"other"}))):
                picture = view.render(glance)
    console = Console(record=True, width=76, file=StringIO(), force_terminal=True)
    console.print(picture)
    console.save_svg(args.out, title=f"movinet watch {name}")


if __name__ == "__main__":
    main()
