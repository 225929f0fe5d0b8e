"""The rate against numbers of the official classes, and what holds for any schedule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.errors import MovinetError
from movinet.train.schedule import lr_factor

# LinearWarmup(CosineDecay(1.0, steps, alpha), warmup_steps, 0.0)(step) of tf-models-official 2.19.1 and tf_keras 2.19.0
OFFICIAL = {
    (100, 7, 0.0): {0: 0.0, 1: 0.1411369, 6: 0.8468215, 7: 0.9879584, 8: 0.9842916, 50: 0.5, 99: 0.0002467, 109: 0.0},
    (85785, 2145, 0.0): {1: 0.0004655, 2144: 0.9979926, 2145: 0.9984581, 2146: 0.9984567, 42892: 0.5000092, 85785: 0.0},
    (50, 10, 0.1): {0: 0.0, 1: 0.0914058, 9: 0.8226518, 10: 0.9140576, 25: 0.55, 49: 0.100888, 50: 0.1, 59: 0.1},
}


@pytest.mark.parametrize(("steps", "warmup_steps", "floor"), OFFICIAL)
def test_as_the_official_schedule_but_that_the_first_update_learns(steps: int, warmup_steps: int, floor: float) -> None:
    for step, factor in OFFICIAL[steps, warmup_steps, floor].items():
        found = lr_factor(step, steps, warmup_steps, floor)
        if step >= warmup_steps:
            assert found == pytest.approx(factor, abs=2e-7)
        elif step:  # as straight a line to the same end, from one step earlier
            assert found * (warmup_steps + 1) / (step + 1) == pytest.approx(factor * warmup_steps / step, rel=1e-3)
        else:
            assert found > factor == 0


@given(st.integers(1, 50), st.just(0.0) | st.floats(0.001, 1), st.data())
def test_up_then_down_to_the_floor(steps: int, floor: float, data: st.DataObject) -> None:
    warmup_steps = data.draw(st.integers(0, steps if floor else steps - 1))
    factors = [lr_factor(step, steps, warmup_steps, floor) for step in range(steps + 3)]
    rising, falling = factors[: warmup_steps + 1], factors[warmup_steps:]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert factors[0] > 0
    assert warmup_steps or factors[0] == 1.0
    assert factors[steps:] == pytest.approx([floor] * 3)


def test_a_floor_of_one_keeps_the_rate() -> None:
    assert {lr_factor(step, 10, 2, floor=1.0) for step in range(2, 12)} == {1.0}


@pytest.mark.parametrize(("steps", "warmup_steps"), [(0, 0), (10, 10), (10, 11), (10, -1)])
def test_a_warmup_must_fit(steps: int, warmup_steps: int) -> None:
    with pytest.raises(MovinetError, match="does not fit into a training"):
        lr_factor(0, steps, warmup_steps)
