"""The learning rate over a training."""

from math import cos, pi

from movinet.errors import MovinetError
from movinet.words import counted


def lr_factor(step: int, steps: int, warmup_steps: int = 0, floor: float = 0.0) -> float:
    """The share of the full rate at a step: a linear warm-up, then down a cosine.

    The cosine begins at step 0, under the warm-up, which ends on it: just below the full rate. So it is in the official
    training (LinearWarmup in official/modeling/optimization/lr_schedule.py over Keras' CosineDecay), but that the
    warm-up begins one step above 0 and not on it: the first update of all learns, which may be the only one of an
    epoch.

    Args:
        step: Updates done so far; the first has 0.
        steps: In all; the floor is reached there and kept.
        warmup_steps: At most `steps`.
        floor: Where the cosine ends, in [0, 1]; 1 is a constant rate after the warm-up.

    Raises:
        MovinetError: No steps, or a warm-up that outlasts them, or ends with them where the cosine ends at 0: nothing
            would ever be learned.
    """
    longest = steps if floor else steps - 1
    if steps < 1 or not 0 <= warmup_steps <= longest:
        raise MovinetError(f"a warm-up of {counted(warmup_steps, 'step')} does not fit into a training of {steps}")
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1) * _cosine(warmup_steps / steps, floor)
    return _cosine(min(step, steps) / steps, floor)


def _cosine(done: float, floor: float) -> float:
    return floor + (1 - floor) * 0.5 * (1 + cos(pi * done))
