"""Synthetic streams: any frame from anywhere, the same every time; what is said of them is what is drawn."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.data.streams import IGNORE, TargetRule
from movinet.data.synthetic.gesture_dataset import TEST_SEEDS
from movinet.data.synthetic.gesture_streams import GestureLanes, GestureStream
from movinet.data.synthetic.paths import GESTURES
from movinet.data.synthetic.stream_plan import SIGNS, Scene, plan_clips, plan_stream
from movinet.data.synthetic.stream_render import StreamRenderer
from movinet.errors import MovinetError

SIZE, FPS = (16, 20), 5.0
OTHER = GESTURES.index("other")
RULE = TargetRule(known=1.0, held=1.0, fading=0.5)
lanes = partial(GestureLanes, SIZE, FPS, 6, rule=RULE, lanes=3)


def test_a_chunk_depends_on_seed_lane_and_number_alone() -> None:
    one = lanes(clips=0.34)
    wanted = [(lane, number) for number in (0, 1, 2, 9) for lane in range(3)]
    in_order = {pick: one.chunk(*pick) for pick in wanted}
    another = lanes(clips=0.34)
    for pick in reversed(wanted):
        chunk = another.chunk(*pick)
        assert chunk.frames.shape == (3, 6, *SIZE)
        assert chunk.frames.dtype == torch.uint8
        assert torch.equal(chunk.frames, in_order[pick].frames)
        assert torch.equal(chunk.targets, in_order[pick].targets)
    first = in_order[0, 0].frames
    for other in (one.chunk(1, 0), lanes(seed=1).chunk(0, 0), lanes(seeds=TEST_SEEDS).chunk(0, 0)):
        assert not torch.equal(first, other.frames)


def test_a_lane_begins_with_each_of_its_streams() -> None:
    made = lanes(clips=0.34)
    ten_minutes = round(600 * FPS / 6)
    begun = [made.chunk(0, n).begins for n in (0, 1, ten_minutes - 1, ten_minutes, ten_minutes + 1)]
    assert begun == [True, False, False, True, False]
    # 4.8 s of a single clip are four chunks of 1.2 s.
    assert [made.chunk(2, n).begins for n in range(9)] == [n % 4 == 0 for n in range(9)]


def test_single_clips_keep_their_label_to_the_end() -> None:
    made = GestureLanes(SIZE, FPS, 24, rule=RULE, clips=1.0, lanes=1)
    ends = set()
    for n in range(40):
        ((label, start, end),) = made.segments(0, n + 1)[-1:] or [(OTHER, 0, 0)]
        target = int(made.chunk(0, n).targets[-1])
        if start < n * 4.8:
            label = OTHER
        assert target in (label, IGNORE - 1 - label if end > n * 4.8 + 4.6 else label)  # drawn to the very end
        ends.add(target)
    assert len(ends) > 8


def test_targets_follow_the_segments() -> None:
    made = lanes()
    count = 100
    targets = torch.cat([made.chunk(0, n).targets for n in range(count)]).numpy()
    times = np.arange(len(targets)) / FPS
    segments = made.segments(0, count)
    assert len(segments) >= 5
    for (label, start, end), following in itertools.pairwise([*segments, (OTHER, times[-1], times[-1])]):
        drawing = (times >= start) & (times < end)
        assert set(targets[drawing]) <= {IGNORE - 1 - label}
        held = (times > end) & (times <= min(end + 1.0, following[1] - 1e-9))
        assert set(targets[held]) <= {label}
    far = np.ones(len(times), bool)
    for _, start, end in segments:
        far &= (times < start) | (times > end + 1.6)
    assert far.any()
    assert set(targets[far]) == {OTHER}
    without = lanes(gestures=0.0)
    assert not without.segments(0, count)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(1, 200), st.floats(0, 1))
def test_plans_fill_their_time(seed: int, seconds: float, gestures: float) -> None:
    plan = plan_stream((seed,), seconds, gestures)
    assert plan[0].start == 0
    assert plan[-1].end >= seconds - 1e-6
    for before, after in itertools.pairwise(plan):
        assert after.start == pytest.approx(before.end)
    acts = [act for scene in plan for act in scene.acts]
    for before, after in itertools.pairwise(acts):
        assert before.start <= before.end <= after.start + 1e-6
    for scene in plan:
        assert all(scene.start <= act.start and act.end <= scene.end + 1e-6 for act in scene.acts)
    drawn = [act for act in acts if act.kind in SIGNS]
    assert gestures > 0 or not drawn
    assert all(0.2 < act.end - act.start < 10 for act in drawn)


def test_every_kind_of_gesture_and_of_idling_occurs() -> None:
    kinds = {act.kind for scene in plan_stream((5,), 3000.0, 0.4) for act in scene.acts}
    assert kinds == {*GESTURES, "rest", "open and close", "scratch", "point", "away", "nobody"}


def test_any_frame_is_the_same_from_anywhere() -> None:
    stream = GestureStream(3, 60.0)
    whole = np.stack(list(stream.frames(SIZE, FPS)))
    assert whole.shape == (300, *SIZE, 3)
    for first, count in ((0, 7), (111, 40), (299, 1)):
        assert np.array_equal(StreamRenderer(SIZE, FPS).frames(stream.plan, first, count), whole[first : first + count])
    few = StreamRenderer(SIZE, FPS, kept=1)
    assert np.array_equal(few.frames(stream.plan, 0, 300), whole)


def test_stills_stay_and_scenes_differ() -> None:
    plan = plan_clips((4,), 8.0, 3)
    frames = StreamRenderer(SIZE, FPS).frames(plan, 0, 120).astype(float)
    for n, scene in enumerate(plan):
        still = frames[int(np.ceil((scene.start + scene.moves) * FPS)) - 1 : 40 * (n + 1)]
        assert len(still) > 1
        assert (still == still[0]).all()
        moving = frames[40 * n : 40 * n + 4]
        assert np.ptp(moving, axis=0).max() > 0
    assert np.abs(frames[39] - frames[40]).mean() > 5


def test_switched_light_jumps_and_comes_back_by_half() -> None:
    (scene,) = plan_clips((2,), 8.0, 1)
    lit = Scene(**{**vars(scene), "moves": 8.0, "still": 0.0, "absent": True})
    dark = Scene(**{**vars(lit), "switches": ((3.0, 0.2),)})
    bright, dim = (StreamRenderer(SIZE, FPS).frames((one,), 0, 40).astype(float).mean((1, 2, 3)) for one in (lit, dark))
    ratio = dim / bright
    assert ratio[:15] == pytest.approx(1.0)
    assert ratio[15] < 0.35
    assert ratio[15] < ratio[18] < ratio[39] < 0.7


def test_where_nobody_is_nobody_is_drawn() -> None:
    plan = plan_stream((8,), 600.0, 0.4)
    empty = next(scene for scene in plan if scene.acts and scene.acts[0].kind == "nobody")
    full = Scene(**{**vars(next(s for s in plan if s.acts[0].kind in SIGNS)), "absent": False})
    bare = Scene(**{**vars(full), "absent": True})
    first = int(np.ceil(full.acts[0].start * FPS))
    renderer, another = StreamRenderer(SIZE, FPS), StreamRenderer(SIZE, FPS)
    seen, unseen = renderer.frames((full,), first, 5), another.frames((bare,), first, 5)
    assert empty.absent
    assert np.abs(seen.astype(int) - unseen).max() > 20


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: GestureStream(0, 0.0), "seconds"),
        (lambda: GestureStream(0, 10.0, 1.5), "share"),
        (lambda: GestureLanes(SIZE, FPS, 0, rule=RULE), "frames"),
        (lambda: GestureLanes(SIZE, FPS, 4, rule=RULE, clips=2.0), "shares"),
    ],
)
def test_nonsense_is_refused(make: partial[object], word: str) -> None:
    with pytest.raises(MovinetError, match=word):
        make()
