"""FrameTimes: within the video, in order, where they were asked for."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.labeled.sampling import dense, random_clip, uniform, windows
from movinet.video.pacer import FilePacer

durations = st.floats(0.01, 100)
rates = st.floats(0.5, 60)
counts = st.integers(1, 20)
seeds = st.integers(0, 2**32)


@given(durations, rates, counts, seeds, st.floats(0.5, 1), st.floats(1, 2))
def test_a_random_clip_lies_within_the_video_at_its_rate(
    duration: float, fps: float, frames: int, seed: int, slow: float, fast: float
) -> None:
    sample = partial(random_clip, fps=fps, frames=frames, jitter=(slow, fast))
    instants = sample(duration, np.random.default_rng(seed))
    assert instants.shape == (frames,)
    assert (instants >= 0).all()
    assert (instants <= duration).all()
    gaps = np.diff(instants)
    assert (gaps >= 0).all()
    if (frames - 1) * fast / fps < duration:  # it fits: no frame is held
        assert np.allclose(gaps, gaps[:1])
        assert all(slow - 1e-6 <= gap * fps <= fast + 1e-6 for gap in gaps)
    assert (instants == sample(duration, np.random.default_rng(seed))).all()


def test_random_clips_reach_both_ends_at_every_speed() -> None:
    rng = np.random.default_rng(0)
    clips = [random_clip(4.0, rng, fps=5, frames=11, jitter=(0.8, 1.25)) for _ in range(500)]
    assert min(clip[0] for clip in clips) < 0.1
    assert max(clip[-1] for clip in clips) > 3.9
    gaps = [clip[1] - clip[0] for clip in clips]
    assert 0.16 <= min(gaps) < 0.165
    assert 0.245 < max(gaps) <= 0.25


def test_a_short_video_stays_or_begins_again() -> None:
    rng = np.random.default_rng(0)
    assert np.allclose(random_clip(0.5, rng, fps=5, frames=6), [0, 0.2, 0.4, 0.5, 0.5, 0.5])
    assert np.allclose(random_clip(0.5, rng, fps=5, frames=6, loop=True), [0, 0.2, 0.4, 0.1, 0.3, 0.0])
    assert np.allclose(windows(0.5, fps=5, frames=4), [0, 0.2, 0.4, 0.5])


@given(durations, rates, counts, st.integers(1, 5))
def test_windows_are_spread_from_end_to_end(duration: float, fps: float, frames: int, clips: int) -> None:
    instants = windows(duration, fps=fps, frames=frames, clips=clips).reshape(clips, frames)
    slack = max(0.0, duration - frames / fps)
    expected = [slack / 2] if clips == 1 else [slack * clip / (clips - 1) for clip in range(clips)]
    assert np.allclose(instants[:, 0], expected)
    assert (np.diff(instants, axis=1) >= 0).all()
    assert (instants <= duration).all()


@given(durations, counts, st.integers(1, 4))
def test_uniform_sees_each_part_of_the_video_once(duration: float, frames: int, clips: int) -> None:
    instants = uniform(duration, frames=frames, clips=clips).reshape(clips, frames)
    assert ((instants / duration * frames).astype(int) == np.arange(frames)).all()
    assert len(np.unique((instants / duration * frames * clips).astype(int))) == frames * clips


@given(st.integers(1, 60), rates)
def test_dense_is_what_decoding_at_the_rate_shows(frames: int, fps: float) -> None:
    shown = [time for time, _ in FilePacer(fps).shown([(k / 25, 1 / 25, k) for k in range(frames)])]
    assert np.allclose(dense(frames / 25, fps=fps), shown)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (partial(random_clip, fps=0, frames=4), "fps"),
        (partial(random_clip, fps=5, frames=0), "at least one frame"),
        (partial(random_clip, fps=5, frames=4, jitter=(1.2, 0.8)), "jitter"),
        (partial(windows, fps=5, frames=4, clips=0), "one clip"),
    ],
)
def test_what_cannot_be_sampled_is_refused(sample: partial[np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample(1.0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="duration"):
        uniform(0.0, frames=4)
