"""Which part of a picture a network sees, so that nothing else is scaled: plain numbers."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

_ROOM = 4  # crops: of an axis made longer than that only a part is scaled, wherever it can end
_LARGE = 480  # pixels: of shorter axes all is scaled, which takes no time, and is exact
_TRIED = 32  # places on each side where a part may end
_NEAR, _FAR = 64, 16  # an end that is a 64th of a pixel off is good enough, one that is a 16th off is not
_WORTH = 8  # a part is not cut out where less than this share of the axis, one eighth, is saved


class Seen(NamedTuple):
    """Of one axis: this part of the source, resized to so much, of which this part is kept."""

    source: slice
    resized: int
    crop: slice


def whole(source: int, resized: int) -> Seen:
    """All of it."""
    return Seen(slice(0, source), resized, slice(0, resized))


def cut_out(axis: Seen) -> Seen:
    """The same once everything but the source has been cut away."""
    return axis._replace(source=slice(0, axis.source.stop - axis.source.start))


def seen(source: int, resized: int, first: int, crop: int, step: int = 1) -> Seen:
    """What `crop` pixels, from pixel `first` on, see of an axis resized from `source` to `resized` pixels.

    Of 720p a square sees 9 of 16 columns; a picture of 2 by 6000 would have 672,000 columns at 224 rows. The ends of
    the part, resized, fall on pixels of the whole picture resized, or off by at most a 16th of one. Only where the
    picture is magnified a lot they may be further off, which is little in pixels of the source.

    Args:
        source: Pixels of the axis.
        resized: Pixels it would have in all.
        first, crop: Which of these are kept.
        step: Where the part may begin and end, beside the ends of the source: multiples of it. Pixels that share
            a color stay together.
    """
    everything = Seen(slice(0, source), resized, slice(first, first + crop))
    magnified = resized > max(source, _ROOM * crop)
    if source < _LARGE and not magnified:
        return everything
    # A filter reaches one pixel of source or result to each side, whichever is larger; colors may be coarser.
    margin = max(2 * max(1, -(-source // resized)), 4 * step)
    before = first * source // resized - margin
    after = -(-(first + crop) * source // resized) + margin
    begins = range(before // step * step, -1, -step)[:_TRIED] if before > 0 else [0]
    ends = [*range(-(-after // step) * step, source, step), source][:_TRIED] if after < source else [source]
    (start, early), (stop, late) = (_meeting(places, source, resized) for places in (begins, ends))
    saves = (source - (stop - start)) * _WORTH >= source
    if not magnified and not (saves and max(early, late) * _FAR <= source):
        return everything
    begin, end = (round(Fraction(place * resized, source)) for place in (start, stop))
    return Seen(slice(start, stop), end - begin, slice(first - begin, first - begin + crop))


def _meeting(places: Sequence[int], source: int, resized: int) -> tuple[int, int]:
    """The first place that is near enough to a pixel of the picture resized, or the nearest; how far off it is, in
    parts of a pixel, as many as `source`."""
    nearest = places[0], source
    for place in places:
        off = min(place * resized % source, -place * resized % source)
        if off < nearest[1]:
            nearest = place, off
        if off * _NEAR <= source:
            break
    return nearest
