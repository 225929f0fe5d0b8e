"""What a network is shown by each protocol, held against scripts that do the same plainly."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny import LABELS, tiny_weights
from tiny_sets import ArrayFootage, tiny_set
from torch.nn.functional import interpolate

from movinet.errors import MovinetError
from movinet.evaluate.clip_protocols import SHARES, Protocol, _Thinned, check, describe, show
from movinet.evaluate.footage import FileFootage
from movinet.evaluate.judged import Judged, judge, judge_clips
from movinet.labeled.entries import VideoEntry
from movinet.recognizer import Recognizer
from movinet.runtime.engine import Clips, Logits
from movinet.video.decode import read_clip
from movinet.video.transform import Transform
from movinet.weights.load import load_weights


def columns(seen: list[Clips]) -> Judged:
    """Remembers the clips it is shown."""

    def run(clips: Clips) -> Logits:
        seen.append(clips)
        return np.zeros((1, 3), np.float32)

    return judge_clips(run, name="eye", labels=LABELS, transform=Transform((8, 8), 8, 5.0), clip_frames=4)


def numbered(frames: int, fps: float = 5.0) -> ArrayFootage:
    """Every frame has its number in red, every column its own green: 8 rows, 24 columns."""
    pictures = np.zeros((frames, 8, 24, 3), np.uint8)
    pictures[..., 0] = np.arange(frames)[:, None, None]
    pictures[..., 1] = np.arange(24)
    return ArrayFootage(pictures, fps, ("left",))


def test_one_clip_comes_from_the_middle() -> None:
    seen: list[Clips] = []
    answer = show(columns(seen), numbered(20), Protocol("clip"))
    (clip,) = seen
    assert clip.shape == (1, 3, 4, 8, 8)
    assert np.rint(clip[0, 0, :, 0, 0] * 255).tolist() == [8, 9, 10, 11]
    assert np.rint(clip[0, 1, 0, 0] * 255).tolist() == list(range(8, 16)), "the center"
    assert (answer.frames, answer.short, answer.lasts) == (4, False, pytest.approx(4.0))


def test_clips_and_crops_reach_from_end_to_end() -> None:
    seen: list[Clips] = []
    answer = show(columns(seen), numbered(20), Protocol("multi-clip", clips=3, crops=3))
    begins = [(round(clip[0, 0, 0, 0, 0] * 255), round(clip[0, 1, 0, 0, 0] * 255)) for clip in seen]
    assert begins == [(first, left) for first in (0, 8, 16) for left in (0, 8, 16)]
    assert answer.frames == 9 * 4


def test_crops_go_along_the_longer_side() -> None:
    seen: list[Clips] = []
    tall = replace(numbered(5), pictures=numbered(5).pictures.transpose(0, 2, 1, 3))
    show(columns(seen), tall, Protocol("multi-clip", clips=1, crops=2))
    assert [round(clip[0, 1, 0, 0, 0] * 255) for clip in seen] == [0, 16]


def test_a_clip_may_be_spread_over_the_video() -> None:
    seen: list[Clips] = []
    show(columns(seen), numbered(20), Protocol("clip", spread=True))
    assert np.rint(seen[0][0, 0, :, 0, 0] * 255).tolist() == [2, 7, 12, 17]


def test_of_what_is_too_short_the_last_frame_is_held() -> None:
    seen: list[Clips] = []
    answer = show(columns(seen), numbered(2), Protocol("clip"))
    assert np.rint(seen[0][0, 0, :, 0, 0] * 255).tolist() == [0, 1, 1, 1]
    assert answer.short
    assert not show(columns(seen), numbered(4), Protocol("clip")).short


@pytest.mark.parametrize(("there", "shown"), [(2, [0, 1, 1, 1]), (6, [0, 1, 2, 3, 4, 5]), (12, list(range(1, 11)))])
def test_a_clip_longer_than_the_networks_own_ends_with_its_video(there: int, shown: list[int]) -> None:
    seen: list[Clips] = []
    answer = show(columns(seen), numbered(there), Protocol("clip", frames=10))
    assert np.rint(seen[0][0, 0, :, 0, 0] * 255).tolist() == shown
    assert (answer.frames, answer.short) == (len(shown), there < 10)
    assert describe(Protocol("clip", frames=10), columns([])) == "one clip of up to 10 frames at 5 a second"


@given(st.integers(1, 400), st.integers(1, 20))
def test_of_long_streams_an_even_choice_of_answers_is_kept(count: int, most: int) -> None:
    from movinet.evaluate import clip_protocols

    before, clip_protocols._MOST_KEPT = clip_protocols._MOST_KEPT, most
    try:
        kept = _Thinned()
        for n in range(1, count + 1):
            kept.add(np.array([n], np.float32))
    finally:
        clip_protocols._MOST_KEPT = before
    assert len(kept.kept) <= most
    assert kept.after(count)[0] == count
    for frames in range(1, count):
        assert abs(kept.after(frames)[0] - frames) <= max(1, 2 * count / most)


@pytest.mark.parametrize("causal", [True, False])
def test_a_stream_and_a_clip_say_what_the_network_says(tmp_path: Path, causal: bool) -> None:
    """The network in PyTorch, on the clip as `read_clip` reads it."""
    path = tiny_weights(tmp_path, causal)
    video = tiny_set(tmp_path / "set", 1, frames=13) / "left" / "0.mp4"
    weights = load_weights(path)
    model, footage = weights.to_model(), FileFootage(VideoEntry(video, ("left",)), "0.mp4")
    clip = torch.from_numpy(read_clip(video, weights.info.transform))[None]
    with torch.inference_mode():
        after = [model(clip[:, :, : n + 1]).softmax(-1)[0].numpy() for n in range(13)]
    judged = judge(Recognizer.load(path))
    whole = show(judged, footage, Protocol("clip", frames=13))
    np.testing.assert_allclose(whole.probabilities, after[-1], atol=1e-5)
    if not causal:
        with pytest.raises(MovinetError, match="cannot stream: take --protocol clip or multi-clip"):
            check(judged, Protocol("stream"))
        return
    answer = show(judged, footage, Protocol("stream"))
    assert (answer.frames, answer.lasts) == (13, pytest.approx(13 / 5))
    assert answer.by_share is not None
    assert answer.every is not None
    np.testing.assert_allclose(answer.probabilities, after[-1], atol=1e-5)
    for share, said in zip(SHARES, answer.by_share, strict=True):
        np.testing.assert_allclose(said, after[int(np.ceil(share * 13 - 1e-9)) - 1], atol=1e-5)
    best = [int(one.argmax()) for one in after]
    np.testing.assert_allclose(answer.every, [best.count(n) / 13 for n in range(3)], atol=1e-6)


@pytest.mark.parametrize(
    ("protocol", "most"),
    [
        (Protocol("clip", 100_000_000), "5592405 frames of eye;"),
        (Protocol("multi-clip", 5_000_000), "1864135 frames of eye in 3 crops"),
        (Protocol("clip", 5_592_406, spread=True), "5592405 frames"),
    ],
)
def test_clips_that_do_not_fit_into_memory_are_refused_before_any_is_read(protocol: Protocol, most: str) -> None:
    with pytest.raises(MovinetError, match=rf"^--frames {protocol.frames}: a clip is held in memory, .* {most}"):
        check(columns([]), protocol)
    check(columns([]), replace(protocol, frames=1_864_135))


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    for wrong, message in (
        ({"frames": 0}, "--frames"),
        ({"clips": 0}, "--clips"),
        ({"crops": -1}, "--crops"),
        ({"clips": 500, "crops": 3}, "more than 1000 views"),
    ):
        with pytest.raises(MovinetError, match=message):
            Protocol("multi-clip", **wrong)  # type: ignore[arg-type]
    with pytest.raises(MovinetError, match="no protocol 'clips'; choose one of clip, multi-clip, stream"):
        Protocol("clips")  # type: ignore[arg-type]
    with pytest.raises(MovinetError, match="mean nothing"):
        Protocol("stream", spread=True)
    broken = judge_clips(
        lambda clips: np.full((1, 3), np.nan), name="broken", labels=LABELS, transform=Transform((8, 8), 8, 5.0),
        clip_frames=4,
    )  # fmt: skip
    with pytest.raises(MovinetError, match="no number"):
        show(broken, numbered(4), Protocol("clip"))


def pictures(path: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    """All of a video, with their times: its files stamp every frame with 0, so durations are gone by."""
    with av.open(str(path)) as container:
        decoded = [(frame.duration * frame.time_base, frame) for frame in container.decode(video=0)]
        return [(float(n * lasts), frame.to_ndarray(format="rgb24")) for n, (lasts, frame) in enumerate(decoded)]


def plainly(
    decoded: list[tuple[float, NDArray[np.uint8]]], starts: Iterable[float], frames: int, crops: list[float]
) -> NDArray[np.float32]:
    """Clips and crops of a video as somebody else would write them down: take what is on screen, resize with PyTorch,
    cut out, average."""
    weights = load_weights("movinet_t0_stream.gestures").with_position_limits()
    model, ((height, width), short), said = weights.to_model(), (weights.info.transform.size, 64), []
    size = (short, int(decoded[0][1].shape[1] * short / decoded[0][1].shape[0]))
    for start in starts:
        shown = [[rgb for time, rgb in decoded if time <= start + k / 5 + 1e-3][-1] for k in range(frames)]
        clip = torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).float()
        clip = interpolate(clip, size, mode="bilinear", antialias=True).round().clamp(0, 255) / 255
        for crop in crops:
            x, y = int((size[1] - width) * crop), (size[0] - height) // 2
            with torch.inference_mode():
                logits = model(clip[None, :, :, y : y + height, x : x + width].transpose(1, 2))
            said.append(logits.softmax(-1)[0].numpy())
    return np.asarray(np.mean(said, axis=0), np.float32)


def test_clips_and_crops_of_real_videos_are_those_of_a_plain_script(shared: Path) -> None:
    judged = judge(Recognizer.load("movinet_t0_stream.gestures"))
    assert judged.transform == Transform((64, 80), 64, 5.0)
    for path in sorted((shared / "data" / "egogestar").glob("*/*_1.mp4"))[:3]:
        decoded = pictures(path)
        footage = FileFootage(VideoEntry(path, (path.parent.name,)), path.name)
        slack = max(0.0, len(decoded) * decoded[1][0] - 8 / 5)
        for protocol, starts, crops in (
            (Protocol("clip", frames=8), [slack / 2], [0.5]),
            (Protocol("multi-clip", frames=8, clips=2, crops=3), [0.0, slack], [0.0, 0.5, 1.0]),
        ):
            said, wanted = show(judged, footage, protocol).probabilities, plainly(decoded, starts, 8, crops)
            assert abs(said - wanted).max() < 0.05, "swscale's and PyTorch's pixels are a level apart"
