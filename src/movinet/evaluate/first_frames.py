"""How long a network must have looked before anything may begin: a picture that stands still shows no event."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from movinet.weights.operating_point import OperatingPoint

_MOST = 95  # percent of streams in which nothing begins then


def warm_up_of(stills: Sequence[tuple[ArrayLike, ArrayLike]], labels: Sequence[str], point: OperatingPoint) -> float:
    """Seconds after which no label of a still picture reaches its threshold any more, in 95 % of the pictures.

    Args:
        stills: of each picture, shown again and again from the beginning of a stream: seconds (frames,), and
            probabilities (frames, labels). One in which a label never falls is left out: waiting would not help.
        labels: by column.
        point: thresholds, and the labels that are no events.
    """
    on = np.array([np.inf if label in point.ignore else point.of_label(label)[0] for label in labels])
    needed = []
    for seconds, probabilities in stills:
        times = np.asarray(seconds, np.float64)
        reached = np.any(np.asarray(probabilities, np.float64) >= on, axis=1)
        last = np.flatnonzero(reached)
        if len(times) and not (len(last) and last[-1] == len(times) - 1):
            needed.append(float(times[last[-1] + 1] - times[0]) if len(last) else 0.0)
    return float(np.percentile(needed, _MOST, method="inverted_cdf")) if needed else 0.0
