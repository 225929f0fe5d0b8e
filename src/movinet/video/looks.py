"""What looks wrong about a clip, told from its pixels and times: rules of thumb, of which every one may be mistaken."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal[
    "channels", "washed-out", "crushed", "rate", "copies", "slow-motion", "time-lapse", "still", "blank", "dark",
    "bars", "portrait", "crop", "small", "short", "hdr", "damaged", "time-stamps",
]  # fmt: skip
Levels = NDArray[np.uint8]
"""(T, h, w, 3): what a network sees."""

BLOCK = 8  # pixels: motion is told by squares of that size
MOVED = 4.0  # levels by which the mean of a square changes that moved
_BLACK = 24  # levels that bars and what is blank stay below


@dataclass(frozen=True)
class Finding:
    """Something that looks wrong.

    Args:
        kind: For programs.
        text: What was seen, and what to do.
    """

    kind: Kind
    text: str


def of_pixels(levels: Levels) -> list[Finding]:
    """What is wrong with frames by their look.

    Args:
        levels: At least one, in order of time.
    """
    found = [_blank(levels)]
    if not found[0]:
        found = [_dark(levels), _still(levels), _bars(levels), _channels(levels), _washed_out(levels)]
    return [finding for finding in found if finding]


def of_luma(counts: NDArray[np.int64], limited: bool) -> list[Finding]:
    """Whether levels as they are stored belong to the range they are taken for.

    Args:
        counts: How many pixels have each of 256 levels of brightness.
        limited: Whether black is taken to be 16 and white 235.
    """
    share = np.cumsum(counts) / max(1, counts.sum())
    below, above = float(share[7]), 1 - float(share[247])
    if limited and below > 0.03 and above > 0.003:
        return [Finding("crushed", f"{below + above:.0%} of what is stored is darker than black or brighter than "
                        "white: it may be full range tagged as limited (or not at all), of which shadows and lights "
                        "are lost; tag it, or convert it")]  # fmt: skip
    low, high = (int(np.searchsorted(share, quantile)) for quantile in (0.002, 0.998))
    if not limited and 14 <= low <= 24 and 225 <= high <= 238 and share[9] + 1 - share[243] < 1e-3:
        return [Finding("washed-out", f"its levels end at {low} and {high}: this is limited range tagged as full, so "
                        "black is gray; tag it, or convert it")]  # fmt: skip
    return []


def of_times(
    times: list[float], tagged: float | None, captured: float | None, changes: NDArray[np.floating], wanted: float
) -> list[Finding]:
    """Whether frames come as often as they should, and things move as fast as they did.

    Args:
        times: Seconds of the frames that are stored, ascending.
        tagged: Frames a second the file tells, or None.
        captured: Frames a second the camera took, where it tells.
        changes: By how many levels the square that changed most did, of each frame against the one before.
        wanted: Frames a second of the network.
    """
    if len(times) < 3 or times[-1] <= times[0]:
        return []
    found = []
    rate = (len(times) - 1) / (times[-1] - times[0])
    if tagged and not 1 / 1.5 < tagged / rate < 1.5:
        found.append(Finding("rate", f"is tagged with {tagged:.3g} frames a second and has {rate:.3g}: what goes by "
                             "the tag sees everything faster or slower than it was"))  # fmt: skip
    elif rate < 0.8 * wanted:
        found.append(Finding("rate", f"has {rate:.3g} frames a second where the network wants {wanted:g}: it sees each "
                             "several times, and motion in jumps"))  # fmt: skip
    copies = float((changes < 1.0).mean())
    if rate >= 0.8 * wanted > (shown := rate * (1 - copies)) and (changes >= MOVED).any():
        found.append(Finding("copies", f"{copies:.0%} of its frames repeat the one before: there are {shown:.2g} "
                             f"different ones a second, and the network wants {wanted:g}"))  # fmt: skip
    if captured and captured > 1.3 * rate:
        found.append(Finding("slow-motion", f"was taken at {captured:.4g} frames a second and is played at {rate:.3g}, "
                             f"{captured / rate:.2g} times slower than it was"))  # fmt: skip
    if captured and captured < rate / 1.3:
        found.append(Finding("time-lapse", f"was taken at {captured:.3g} frames a second and is played at {rate:.3g}, "
                             f"{rate / captured:.2g} times faster than it was"))  # fmt: skip
    return found


def of_stamps(stamps: list[int | None], times: list[float], kept: bool) -> list[Finding]:
    """Whether frames say when they were taken.

    Args:
        stamps: What the frames carry, in order of display; None where nothing.
        times: Seconds they were shown at all the same.
        kept: Whether a file of this kind has time stamps at all.
    """
    count = len(stamps)
    without = sum(stamp is None or stamp == before for before, stamp in zip([None, *stamps], stamps, strict=False))
    if not kept or without >= count - 1:  # the first of those that all have the same is no better
        without = count
    if count < 3 or not without or times[-1] <= times[0]:
        return []
    which = "its frames have" if without == count else f"{without} of its first {count} frames have"
    rate = (count - 1) / (times[-1] - times[0])
    return [Finding("time-stamps", f"{which} no time stamps, so they are taken to come {rate:.3g} a second; if they do "
                    "not, everything is seen faster or slower than it was: store them with their times, as MP4 or "
                    "Matroska")]  # fmt: skip


def _blank(levels: Levels) -> Finding | None:
    spread = levels.reshape(len(levels), -1, 3).astype(float).std(1).max()
    if np.percentile(levels, 99.5) < _BLACK:
        return Finding("blank", "is black: is the lens covered, or the camera's shutter closed?")
    if spread < 2.5:
        return Finding("blank", "shows a single color")
    return None


def _dark(levels: Levels) -> Finding | None:
    brightest = float(np.percentile(levels, 99.5))  # what is lit before something dark is no fault
    if levels.mean() < 40 and brightest < 90:
        return Finding("dark", f"is very dark: almost nothing is above {brightest:.0f} of 255")
    return None


def motion(levels: Levels) -> NDArray[np.floating]:
    """(T - 1,) levels by which the square that changed most did, from frame to frame."""
    count, height, width = levels.shape[0], levels.shape[1] // BLOCK, levels.shape[2] // BLOCK
    gray = levels[:, : height * BLOCK, : width * BLOCK].mean(3, dtype=np.float32)
    means = gray.reshape(count, height, BLOCK, width, BLOCK).mean((2, 4))
    change: NDArray[np.floating] = np.abs(np.diff(means, axis=0)).max((1, 2), initial=0.0)
    return change


def _still(levels: Levels) -> Finding | None:
    if len(levels) < 2:
        return Finding("still", "is a single picture: nothing can move")
    if motion(levels).max() < MOVED:
        return Finding("still", "nothing moves: is this a picture, or a stream that stands?")
    return None


def _bars(levels: Levels) -> Finding | None:
    """Letterboxes and the like: what is dark and plain at both ends, in every frame."""
    brightest = np.percentile(levels.max(3), 98, axis=0)  # over time, but for a flash
    lost = []
    for axis, what in ((1, "above and below"), (0, "left and right")):
        plain = np.percentile(brightest, 98, axis=axis) < _BLACK
        size, first, last = len(plain), int((~plain).argmax()), int((~plain[::-1]).argmax())
        if min(first, last) >= 0.04 * size and first + last < 0.9 * size:
            lost.append(f"{(first + last) / size:.0%} of the picture {what}")
    if not lost:
        return None
    return Finding("bars", f"black bars take {' and '.join(lost)}: cut them off, since the network sees them, too")


def _channels(levels: Levels) -> Finding | None:
    """Red and blue exchanged: what moves is mostly people, and nobody's skin is blue."""
    if len(levels) < 2:
        return None
    change = np.abs(np.diff(levels.astype(np.int16), axis=0)).mean(3) > 12
    moving = levels[:-1][change].astype(np.int16)
    if len(moving) < 200:
        return None
    red, blue = moving[:, 0], moving[:, 2]
    warm, cold = float(_skin(moving).mean()), float(_skin(moving[:, ::-1]).mean())
    balance = float((red - blue).sum() / max(1, np.abs(red - blue).sum()))
    if cold > 0.08 and cold > 3 * warm and balance < -0.3:
        return Finding("channels", f"red and blue may be exchanged (BGR): {cold:.0%} of what moves has the color that "
                       f"skin has then, {warm:.0%} that of skin; if so, turn the channels round")  # fmt: skip
    return None


def _skin(pixels: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Which RGB pixels (N, 3) may be skin (Kovač, Peer, Solina 2003: by daylight)."""
    red, green, blue = pixels[:, 0], pixels[:, 1], pixels[:, 2]
    colored = pixels.max(1) - pixels.min(1) > 15
    skin: NDArray[np.bool_] = (red > 95) & (green > 40) & (blue > 20) & colored & (red - green > 15) & (red > blue)
    return skin


def _washed_out(levels: Levels) -> Finding | None:
    """Limited range that was made full before, or full twice: by what the pictures themselves end at."""
    share = np.bincount(levels.ravel(), minlength=256).cumsum() / levels.size
    low, high = (int(np.searchsorted(share, quantile)) for quantile in (0.002, 0.998))
    if 13 <= low <= 20 and 228 <= high <= 239 and share[9] + 1 - share[243] < 1e-5:
        return Finding("washed-out", f"its pictures end at {low} and {high} of 255: limited range may have been taken "
                       "for full before, so that black is gray")  # fmt: skip
    black, white = float((levels.max(3) == 0).mean()), float((levels.min(3) == 255).mean())
    if black > 0.08 and white > 0.03:
        return Finding("crushed", f"{black:.0%} of it is plain black and {white:.0%} plain white: full range may have "
                       "been taken for limited before")  # fmt: skip
    return None
