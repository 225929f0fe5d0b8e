"""Draw docs/images/watch.svg: what `movinet watch` shows at the end of a rendered gesture, played in real time.

python scripts/draw_watch.py docs/images/watch.svg
"""

import argparse
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from movinet.data.synthetic.gesture_clips import GESTURES, render_gesture
from movinet.live.cameras import Camera
from movinet.live.feeds import feed_of
from movinet.live.loop import watch
from movinet.live.report import Seen
from movinet.live.view import View
from movinet.runtime.pool import StreamPool
from movinet.video.encode import encode_video

MODEL = "movinet_t0_stream.gestures"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--gesture", choices=GESTURES, default="star")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    name = f"{args.gesture}.mp4"
    view = View([name], MODEL)
    with TemporaryDirectory() as folder, StreamPool.load(MODEL, max_streams=1) as pool:
        path, spec = Path(folder) / name, pool.info.spec
        clip = render_gesture(args.gesture, args.seed, (192, 256), spec.frames, spec.fps)
        encode_video(path, clip.frames, spec.fps)
        camera = Camera(address=str(path), name=name)
        reports = list(watch([feed_of(camera, path, pool)]))
        last = max(n for n, report in enumerate(reports) if isinstance(report.what, Seen))
        for report in reports[: last + 1]:  # before what runs is told as ended
            view.take(report)
    console = Console(record=True, width=76, file=StringIO(), force_terminal=True)
    console.print(view)
    console.save_svg(args.out, title=f"movinet watch {name}")


if __name__ == "__main__":
    main()
