"""Draw docs/images/stream.png: the bundled clip, frame by frame, and what the bundled network says after each.

python scripts/draw_stream.py docs/images/stream.png
"""

import argparse

import matplotlib as mpl
import numpy as np

from movinet import Recognizer
from movinet.train.plots import COLORS, FAINT, INK, LINE
from movinet.video.decode import read_frames
from movinet.video.sample import LABEL, sample_clip
from movinet.weights.registry import DEFAULT_MODEL

FRAMES = 9  # shown
HEADLINE = "One frame in, one answer out: the bundled network on its sample clip"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    args = parser.parse_args()
    mpl.use("agg")
    from matplotlib import pyplot as plt

    clip, recognizer = sample_clip(), Recognizer.load(DEFAULT_MODEL)
    frames = list(read_frames(clip, recognizer.info.transform.fps))
    answers = list(recognizer.stream(clip))
    event = next(event for event in recognizer.events(clip) if event.label == LABEL)
    times, said = [answer.time for answer in answers], np.array([answer.probabilities for answer in answers])
    near = np.argsort(-said.max(0))[:3]

    figure = plt.figure(figsize=(10, 3.6), dpi=110, facecolor="white")
    grid = figure.add_gridspec(
        2, FRAMES, height_ratios=(1.1, 1.5), left=0.07, right=0.95, top=0.88, bottom=0.13, hspace=0.12
    )
    figure.text(0.07, 0.93, HEADLINE, color=INK, fontsize=11, weight="bold")
    shown = np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)
    for place, number in enumerate(shown):
        axes = figure.add_subplot(grid[0, place])
        axes.imshow(frames[number].rgb)
        axes.set_axis_off()
    axes = figure.add_subplot(grid[1, :])
    axes.axvspan(event.start, times[-1], color=COLORS[2], alpha=0.12, linewidth=0)
    axes.text(event.start + 0.04, 0.06, f"event: {LABEL}, from {event.start:.1f} s", color=COLORS[2], fontsize=9)
    for index, color in zip(near, (COLORS[2], FAINT, COLORS[4]), strict=False):
        label = recognizer.info.label(int(index))
        axes.plot(times, said[:, index], color=color if label != LABEL else COLORS[2], linewidth=2)
    for index in near:
        label, peak = recognizer.info.label(int(index)), int(said[:, index].argmax())
        axes.annotate(
            label, (times[peak], said[peak, index]), (0, 4), textcoords="offset points", color=INK, fontsize=9
        )
    axes.set(xlim=(times[0], times[-1]), ylim=(0, 1.12), xlabel="seconds")
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.grid(axis="y", color=LINE)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(args.out)


if __name__ == "__main__":
    main()
