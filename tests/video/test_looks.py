"""Every fault of a made clip is told, and a good clip is passed over in silence."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from video_clips import write

from movinet.errors import VideoError
from movinet.inspecting import Inspected, inspect, lines_of, sheet
from movinet.runtime.open_network import open_network
from movinet.video.decode import read_frames
from movinet.video.looks import of_luma, of_pixels, of_stamps, of_times
from movinet.video.sample import sample_clip
from movinet.weights.info import WeightsInfo


@pytest.fixture(scope="module")
def info() -> WeightsInfo:
    return open_network("movinet_t0_stream.gestures").info


@pytest.fixture(scope="module")
def hand() -> np.ndarray:
    """The bundled clip, of a hand that moves: (T, H, W, 3)."""
    return np.stack([frame.rgb for frame in read_frames(sample_clip())])


@pytest.fixture(scope="module")
def seen(hand: np.ndarray, info: WeightsInfo) -> np.ndarray:
    return info.transform.levels(hand)


def kinds(found: Inspected) -> set[str]:
    return {finding.kind for finding in found.findings}


def save(path: Path, frames: np.ndarray, fps: int = 10, **options) -> Path:
    return write(path, list(np.ascontiguousarray(frames)), None, Fraction(1, fps), **options)


def test_a_good_clip_is_passed_over(info: WeightsInfo) -> None:
    found = inspect(sample_clip(), info)
    assert found.findings == ()
    assert found.levels.shape == (len(found.times), *info.transform.size, 3)
    assert found.frames == len(found.times)
    np.testing.assert_allclose(np.diff(found.times), 1 / info.transform.fps)
    for frame, levels in zip(read_frames(sample_clip(), info.transform.fps), found.levels, strict=True):
        np.testing.assert_array_equal(levels, frame.levels(info.transform))


def box(levels: np.ndarray) -> np.ndarray:
    levels = levels.copy()
    levels[:, :8] = levels[:, -8:] = 0
    return levels


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("channels", lambda levels: levels[..., ::-1]),
        ("still", lambda levels: levels[:1].repeat(10, 0)),
        ("still", lambda levels: levels[:1]),
        ("blank", lambda levels: levels * 0 + 3),
        ("blank", lambda levels: levels * 0 + np.array([20, 40, 200], np.uint8)),
        ("dark", lambda levels: (levels * 0.2).astype(np.uint8)),
        ("bars", box),
        ("bars", lambda levels: box(levels.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)),
        ("washed-out", lambda levels: np.rint(16 + spread(levels) * (219 / 255)).astype(np.uint8)),
        ("crushed", lambda levels: spread(levels, 0.8)),
    ],
)  # fmt: skip
def test_what_pixels_tell(kind: str, spoil, seen: np.ndarray) -> None:
    assert [finding.kind for finding in of_pixels(seen)] == []
    assert [finding.kind for finding in of_pixels(spoil(seen))] == [kind]


def spread(levels: np.ndarray, strength: float = 0.02) -> np.ndarray:
    """From black to white, with some of each."""
    low, high = np.percentile(levels, [50 * strength, 100 - 50 * strength])
    return np.clip((levels - low) * (255 / (high - low)), 0, 255).astype(np.uint8)


def test_ranges_that_are_stored() -> None:
    limited, full = np.zeros(256, np.int64), np.zeros(256, np.int64)
    limited[16:236], full[:] = 1000, 1000
    assert of_luma(limited, limited=True) == []
    assert of_luma(full, limited=False) == []
    assert [finding.kind for finding in of_luma(limited, limited=False)] == ["washed-out"]
    assert [finding.kind for finding in of_luma(full, limited=True)] == ["crushed"]
    assert of_luma(np.zeros(256, np.int64), limited=True) == []
    dim = np.zeros(256, np.int64)
    dim[60:90] = 10
    assert of_luma(dim, limited=False) == []


@pytest.mark.parametrize(
    ("kind", "rate", "tagged", "captured", "repeated"),
    [
        (None, 25, 25.0, None, 1),
        (None, 25, 30.0, None, 2),
        (None, 30, 30.0, 30.0, 1),
        ("rate", 25, 60.0, None, 1),
        ("rate", 25, 10.0, None, 1),
        ("rate", 2, 2.0, None, 1),
        ("copies", 25, 25.0, None, 10),
        ("slow-motion", 30, 30.0, 240.0, 1),
        ("time-lapse", 30, 30.0, 1.0, 1),
    ],
)
def test_what_times_tell(kind, rate, tagged, captured, repeated) -> None:
    times = [n / rate for n in range(100)]
    changes = np.array([20.0 if n % repeated == 0 else 0.0 for n in range(1, 100)])
    assert [found.kind for found in of_times(times, tagged, captured, changes, 5.0)] == ([kind] if kind else [])


def test_a_clip_that_stands_or_ends_tells_nothing_of_its_rate() -> None:
    assert of_times([0.0], 25.0, None, np.zeros(0), 5.0) == []
    assert of_times([0.0, 0.0, 0.0], 25.0, None, np.zeros(2), 5.0) == []
    assert of_times([n / 25 for n in range(50)], 25.0, None, np.zeros(49), 5.0) == []  # still, which is told elsewhere


def test_files_with_faults(tmp_path: Path, hand: np.ndarray, info: WeightsInfo) -> None:
    assert kinds(inspect(save(tmp_path / "good.mp4", hand), info)) == set()
    assert kinds(inspect(save(tmp_path / "bgr.mp4", hand[..., ::-1]), info)) == {"channels"}
    assert kinds(inspect(save(tmp_path / "slow.mp4", hand.repeat(4, 0)), info)) == {"copies"}
    assert kinds(inspect(save(tmp_path / "short.mp4", hand[:2]), info)) >= {"short"}
    wide = np.tile(hand, (1, 1, 3, 1))[:, 40:120]
    assert "crop" in kinds(inspect(save(tmp_path / "wide.mp4", wide), info))
    assert "portrait" in kinds(inspect(save(tmp_path / "phone.mp4", hand, rotation=(90, False, False)), info))
    tiny = np.ascontiguousarray(hand[:, ::8, ::8])[:, :16, :20]
    assert "small" in kinds(inspect(save(tmp_path / "tiny.mp4", tiny), info))
    ticks = [5 * n for n in range(len(hand))]
    assert kinds(inspect(write(tmp_path / "tag.mp4", list(hand), ticks), info)) == {"rate"}  # 25 a second, it says


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [("bare.h264", "libx264", 10), ("bare.hevc", "libx265", 10), ("bare.mjpeg", "mjpeg", 25)],  # which has no rate
)
def test_files_without_time_stamps(
    name: str, codec: str, rate: int, tmp_path: Path, hand: np.ndarray, info: WeightsInfo
) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    found = inspect(save(tmp_path / name, hand, codec=codec, pixels=pixels), info)
    assert kinds(found) == {"time-stamps"}
    assert f"its frames have no time stamps, so they are taken to come {rate} a second" in found.findings[0].text


def test_time_stamps_that_stand_still_are_none() -> None:
    times = [n / 10 for n in range(20)]
    assert of_stamps(list(range(20)), times, kept=True) == []
    (finding,) = of_stamps([0] * 20, times, kept=True)
    assert finding.text.startswith("its frames have no time stamps")
    (finding,) = of_stamps([*range(15), *[14] * 4, None], times, kept=True)
    assert finding.text.startswith("5 of its first 20 frames have no time stamps")
    assert of_stamps([0, 0], [0.0, 0.1], kept=True) == []


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "tag"), [("crushed", "yuv420p", "yuvj420p", 1), ("washed-out", "yuvj420p", "yuv420p", 2)]
)
def test_files_of_the_wrong_range(kind, right, wrong, tag, tmp_path: Path, hand: np.ndarray, info: WeightsInfo) -> None:
    for layout in (right, wrong):
        with av.open(str(tmp_path / f"{layout}.mkv"), "w") as out:
            stream = out.add_stream("ffv1", rate=10)
            stream.height, stream.width, stream.pix_fmt = hand.shape[1], hand.shape[2], "yuv420p"
            stream.codec_context.color_range = tag
            for image in spread(hand.mean(3, keepdims=True), 0.1).repeat(3, 3):  # gray, from black to white
                planes = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=layout).to_ndarray()
                frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
                frame.color_range = tag
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    assert kinds(inspect(tmp_path / f"{right}.mkv", info)) == set()
    assert kinds(inspect(tmp_path / f"{wrong}.mkv", info)) == {kind}


def test_damage_is_told(tmp_path: Path, hand: np.ndarray, info: WeightsInfo) -> None:
    path = save(tmp_path / "cut.ts", hand, options={"g": "10"})
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data) // 2, 400):
        data[at] ^= 0xFF
    path.write_bytes(data)
    assert "damaged" in kinds(inspect(path, info))


def test_long_clips_are_shown_from_beginning_to_end(tmp_path: Path, info: WeightsInfo) -> None:
    frames = [np.roll(np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8), n, 1) for n in range(100)]
    found = inspect(write(tmp_path / "long.mp4", frames, None, Fraction(1, 2)), info)
    assert found.frames == 50 * info.transform.fps
    assert len(found.times) == 40
    assert found.times[0] == 0
    assert found.times[-1] == pytest.approx(50 - 1 / info.transform.fps)
    some = inspect(tmp_path / "long.mp4", info, 10.0, 12.0)
    assert some.frames == 2 * info.transform.fps
    assert some.times[0] == 10.0
    assert some.times[-1] < 12
    with pytest.raises(VideoError, match="no frame from 99"):
        inspect(tmp_path / "long.mp4", info, 99.0)


def test_image_folders_are_clips(tmp_path: Path, hand: np.ndarray, info: WeightsInfo) -> None:
    for number, image in enumerate(hand[:8]):
        write(tmp_path / f"{number}.png", [image], codec="png", pixels="rgb24", container="image2")
    found = inspect(tmp_path, info)
    assert (found.frames, found.video.fps) == (8, None)
    assert "no rate of its own" in lines_of(found, "folder")[1]


CLIPS = ("archery.avi", "arm_wrestling.mp4", "flipping_pancake.mkv", "putting_on_eyeliner.avi")


@pytest.mark.parametrize("name", CLIPS)
def test_real_clips_are_passed_over_until_their_colors_are_exchanged(
    shared: Path, name: str, info: WeightsInfo
) -> None:
    found = inspect(shared / "clips" / name, info)
    assert kinds(found) <= {"damaged"}
    assert [finding.kind for finding in of_pixels(found.levels[..., ::-1])] == ["channels"]


def test_the_sheet_holds_the_frames_as_they_are_seen(tmp_path: Path, info: WeightsInfo) -> None:
    found = inspect(sample_clip(), info)
    (tmp_path / "sheet.png").write_bytes(sheet(found, "clip"))
    picture = next(read_frames(tmp_path / "sheet.png")).rgb
    height, width = info.transform.size
    rows = np.flatnonzero((picture[:, 12 : 12 + width] == found.levels[0, 0]).all((1, 2)))
    top = int(rows[0])
    for number, levels in enumerate(found.levels):
        y, x = top + number // 8 * (height + 14), 12 + number % 8 * (width + 4)
        np.testing.assert_array_equal(picture[y : y + height, x : x + width], levels)
