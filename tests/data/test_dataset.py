"""Examples that depend on seed, epoch and video alone, whatever else happens."""

import gc
import logging
from dataclasses import replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from movinet.data.augment import Augmentation, ColorJitter, RandomCrop
from movinet.data.auto_augment import AutoAugment
from movinet.data.batches import EpochOrder, load_batches
from movinet.data.dataset import ClipDataset, Example, SampleKey, scaled
from movinet.errors import MovinetError
from movinet.labeled.entries import VideoEntry, VideoSet
from movinet.labeled.sampling import dense, random_clip, uniform, windows
from movinet.video.decode import read_clip, read_frames
from movinet.video.encode import encode_video
from movinet.video.net.opening import open_file
from movinet.video.transform import Transform

TRANSFORM = Transform((24, 24), 28, fps=5.0)
SAMPLE = partial(random_clip, fps=5.0, frames=4, jitter=(0.8, 1.25))
AUGMENTATION = Augmentation(
    RandomCrop(), flip=0.5, swap=(("left", "right"),), policy=AutoAugment(), color=ColorJitter(0.2)
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> VideoSet:
    """Six videos of two seconds, three of each class; frame t of video n has brightness 38·n + 2·t and a texture."""
    folder = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    listed = []
    for number in range(6):
        texture = rng.integers(0, 20, (32, 48, 3), dtype=np.uint8)
        frames = np.stack([texture + np.uint8(38 * number + 2 * t) for t in range(20)])
        encode_video(folder / f"{number}.mp4", frames, 10.0)
        listed.append(VideoEntry(folder / f"{number}.mp4", (("left", "right")[number % 2],)))
    return VideoSet(tuple(listed), ("left", "right", "up"), False)


def same(a: Example, b: Example) -> bool:
    equal = torch.equal(a.clip, b.clip) and torch.equal(a.target, b.target)
    return bool(equal and a.video == b.video and torch.allclose(a.track, b.track, equal_nan=True))


def test_an_example_depends_on_seed_epoch_and_video(videos: VideoSet) -> None:
    make = partial(ClipDataset, videos, TRANSFORM, SAMPLE, AUGMENTATION)
    dataset = make(seed=1)
    first = dataset[SampleKey(3, 2)]
    assert first.clip.shape == (3, 4, 24, 24)
    assert first.clip.dtype == torch.uint8
    assert first.track.shape == (4, 2)
    assert first.track.isnan().all()
    assert dataset.labels_of(2) == ("left",)
    _ = dataset[0]
    assert same(first, dataset[SampleKey(3, 2)])
    assert same(first, make(seed=1)[SampleKey(3, 2)])
    assert not same(first, dataset[SampleKey(4, 2)])
    assert not same(first, make(seed=2)[SampleKey(3, 2)])
    assert same(dataset[5], dataset[SampleKey(0, 5)])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(videos: VideoSet, workers: int) -> None:
    dataset, order = ClipDataset(videos, TRANSFORM, SAMPLE, AUGMENTATION), EpochOrder(6, seed=4)
    here, there = load_batches(dataset, order, 4), load_batches(dataset, order, 4, workers)
    before = torch.random.get_rng_state()
    epochs = []
    for epoch in range(2):  # the workers live on, and must hear of the new epoch
        order.set_epoch(epoch)
        expected = list(here)
        assert [len(batch.clip) for batch in expected] == [4, 2]
        for a, b in zip(expected, there, strict=True):
            assert torch.equal(a.clip, b.clip)
            assert torch.equal(a.target, b.target)
            assert torch.equal(a.video, b.video)
        epochs.append(torch.cat([batch.video for batch in expected]).tolist())
    assert epochs[0] != epochs[1]
    assert torch.equal(before, torch.random.get_rng_state())


class Collecting(ClipDataset):
    def __getitem__(self, pick: SampleKey | int) -> Example:
        gc.collect()
        return super().__getitem__(pick)


def test_workers_leave_decoders_alone_that_they_inherit(videos: VideoSet) -> None:
    source = videos.videos[0].path
    assert isinstance(source, Path)
    container = av.open(source)
    container.streams.video[0].codec_context.thread_count = 2
    next(container.decode(video=0))
    garbage = [container]
    garbage.append(garbage)  # type: ignore[arg-type]
    gc.disable()
    try:
        del container, garbage
        batches = load_batches(Collecting(videos, TRANSFORM, SAMPLE), EpochOrder(6), 6, workers=1)
        batches.timeout = 60  # rather than for ever
        assert len(list(batches)) == 1
    finally:
        gc.enable()


@given(st.integers(0, 40), st.integers(1, 4), st.integers(0, 12), st.booleans())
def test_every_example_comes_once_and_an_epoch_can_be_gone_on_with(
    size: int, ranks: int, position: int, shuffle: bool
) -> None:
    orders = [EpochOrder(size, 7, shuffle, rank, ranks) for rank in range(ranks)]
    for order in orders:
        order.set_epoch(2)
    whole = [list(order) for order in orders]
    assert {len(picks) for picks in whole} == {size // ranks} == {len(order) for order in orders}
    seen = [pick.video for picks in whole for pick in picks]
    assert len(set(seen)) == len(seen) == size - size % ranks
    single = EpochOrder(size, 7, shuffle)
    single.set_epoch(2)
    together = [pick.video for turn in zip(*whole, strict=True) for pick in turn]
    assert together == [pick.video for pick in single][: len(seen)]
    for order, picks in zip(orders, whole, strict=True):
        order.set_epoch(2, position)
        assert list(order) == picks[position:]
        assert len(order) == len(picks[position:])


def split(order: EpochOrder, batch: int = 0) -> list[list[SampleKey]]:
    """An epoch's batches, from the batch-th on."""
    order.set_epoch(1, order.before(batch))
    return [list(picks) for _, picks in groupby(order, lambda pick: pick.batch)]


@given(st.integers(0, 40), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3))
def test_batches_are_few_and_even_and_nothing_is_left_out(size: int, ranks: int, share: int, batch: int) -> None:
    orders = [EpochOrder(size, 7, rank=rank, ranks=ranks, batch_size=ranks * share) for rank in range(ranks)]
    together = [list(chain.from_iterable(parts)) for parts in zip(*map(split, orders), strict=True)]
    assert len(together) == orders[0].batches == -(-(size // ranks) // share)
    assert all({pick.batch for pick in picks} == {number} for number, picks in enumerate(together))
    sizes = [len(picks) for picks in together]
    assert sum(sizes) == size - size % ranks
    assert not sizes or (max(sizes) <= ranks * share and max(sizes) - min(sizes) <= ranks)
    for order in orders:
        assert split(order, batch) == split(order)[batch:]
    if size % (ranks * share) == 0:  # as one process would
        expected = split(EpochOrder(size, 7, batch_size=ranks * share))
        assert [sorted(picks) for picks in together] == [sorted(picks) for picks in expected]


def test_numbered_batches_are_loaded_as_such(videos: VideoSet) -> None:
    dataset = ClipDataset(videos, TRANSFORM, SAMPLE)
    for workers in (0, 1):
        sizes = [len(batch.clip) for batch in load_batches(dataset, EpochOrder(6, batch_size=4), workers=workers)]
        assert sizes == [3, 3]


def test_without_augmentation_it_is_the_clip_the_network_is_given(videos: VideoSet) -> None:
    dataset = ClipDataset(videos, TRANSFORM, partial(dense, fps=5.0))
    video = videos.videos[1]
    for scale in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        network = replace(TRANSFORM, scale=scale)
        assert torch.equal(scaled(dataset[1].clip, network), torch.from_numpy(read_clip(video.path, network)))
    cut = ClipDataset(replace(videos, videos=(replace(video, start=0.6, end=1.4),)), TRANSFORM, partial(dense, fps=5.0))
    assert torch.equal(scaled(cut[0].clip, TRANSFORM), torch.from_numpy(read_clip(video.path, TRANSFORM, 0.6, 1.4)))
    assert int(dataset[1].target) == 1
    nothing = ClipDataset(videos, replace(TRANSFORM, scale=(-1.0, 1.0)), partial(dense, fps=5.0), Augmentation())
    assert torch.equal(nothing[1].clip, dataset[1].clip)


def test_without_augmentation_the_pixels_are_those_a_stream_sees(tmp_path: Path) -> None:
    """Of a wide video that is shown upright: one scaler for training, evaluation and use."""
    path, turn = tmp_path / "phone.mp4", np.random.default_rng(0).integers(0, 256, (40, 640, 3), dtype=np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=5)
        stream.height, stream.width, stream.pix_fmt = turn.shape[0], turn.shape[1], "yuv420p"
        stream.set_display_rotation(90)
        for number in range(5):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(turn, 9 * number, 1), format="rgb24")))
        out.mux(stream.encode(None))
    expected = np.stack([frame.levels(TRANSFORM) for frame in read_frames(path, TRANSFORM.fps)])
    videos = VideoSet((VideoEntry(path, ("up",)),), ("up",), False)
    for augmentation in (None, Augmentation()):
        (example,) = ClipDataset(videos, TRANSFORM, partial(dense, fps=5.0), augmentation)
        np.testing.assert_array_equal(example.clip.permute(1, 2, 3, 0).numpy(), expected)


def test_scaled_clips_are_not_scaled_again() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert scaled(levels, TRANSFORM)[[0, -1]].tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="must be uint8"):
        scaled(scaled(levels, TRANSFORM), TRANSFORM)


def test_a_stretch_ends_before_its_end(videos: VideoSet) -> None:
    video = replace(videos.videos[0], start=0.5, end=1.0)
    held = ClipDataset(replace(videos, videos=(video,)), TRANSFORM, partial(windows, fps=5.0, frames=6))[0].clip
    last = read_clip(video.path, TRANSFORM, start=0.95, max_frames=1)
    assert torch.equal(scaled(held[:, -1:], TRANSFORM), torch.from_numpy(last))


def at(instants: list[float], duration: float, rng: np.random.Generator) -> np.ndarray:
    return np.array(instants)


@pytest.mark.parametrize("augmentation", [None, Augmentation()])
def test_instants_may_come_in_any_order(videos: VideoSet, augmentation: Augmentation | None) -> None:
    instants = [1.4, 0.2, 1.0, 0.2, 1.8, 0.6]
    ascending = ClipDataset(videos, TRANSFORM, partial(at, sorted(set(instants))), augmentation)[0].clip
    clip = ClipDataset(videos, TRANSFORM, partial(at, instants), augmentation)[0].clip
    assert torch.equal(clip, ascending[:, [3, 0, 2, 0, 4, 1]])


def test_several_clips_of_a_video(videos: VideoSet) -> None:
    both, _, _, track, *_ = ClipDataset(videos, TRANSFORM, partial(uniform, frames=5, clips=2))[0]
    alone = ClipDataset(videos, TRANSFORM, partial(uniform, frames=10))[0].clip
    assert both.shape == (2, 3, 5, 24, 24)
    assert track.shape == (2, 5, 2)
    assert torch.equal(both[0], alone[:, ::2])
    assert torch.equal(both[1], alone[:, 1::2])


def test_a_mirrored_clip_has_the_mirrored_label(videos: VideoSet) -> None:
    swap = Augmentation(flip=1.0, swap=(("left", "right"),))
    plain = ClipDataset(videos, TRANSFORM, partial(dense, fps=5.0))[0]
    mirrored = ClipDataset(videos, TRANSFORM, partial(dense, fps=5.0), swap)[0]
    assert (int(plain.target), int(mirrored.target)) == (0, 1)
    assert torch.allclose(mirrored.clip.flip(3).int(), plain.clip.int(), atol=1)


def test_multi_label_targets(videos: VideoSet) -> None:
    listed = (replace(videos.videos[0], labels=("left", "up")), replace(videos.videos[1], labels=()))
    dataset = ClipDataset(VideoSet(listed, videos.labels, True), TRANSFORM, partial(dense, fps=5.0))
    assert dataset[0].target.tolist() == [1, 0, 1]
    assert dataset[1].target.tolist() == [0, 0, 0]


@pytest.fixture
def damaged(videos: VideoSet, tmp_path: Path) -> VideoSet:
    """Of the first class, two are broken."""
    empty, cut = tmp_path / "empty.mp4", tmp_path / "cut.mp4"
    empty.touch()
    cut.write_bytes(videos.videos[2].path.read_bytes()[:300])
    listed = list(videos.videos)
    listed[0] = replace(listed[0], path=empty)
    listed[2] = replace(listed[2], path=cut)
    return replace(videos, videos=tuple(listed))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_video_is_replaced_by_one_of_its_class(
    damaged: VideoSet, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    dataset, order = ClipDataset(damaged, TRANSFORM, SAMPLE, seed=3), EpochOrder(6, shuffle=False)
    batches = load_batches(dataset, order, 6, workers)
    with caplog.at_level(logging.WARNING):
        for epoch in range(3):
            order.set_epoch(epoch)
            (batch,) = batches
            assert batch.video.tolist() == [4, 1, 4, 3, 4, 5]
            assert batch.target.tolist() == [0, 1, 0, 1, 0, 1]
    assert dataset.broken.tolist() == [True, False, True, False, False, False]
    if not workers:  # what other processes log is not seen here
        assert len(caplog.records) == 2
        assert all(any(name in line for line in caplog.messages) for name in ("empty.mp4", "cut.mp4"))


def test_what_is_not_the_fault_of_a_clip_names_it(videos: VideoSet, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object, **__: object) -> float:
        raise KeyError("a mistake of ours")

    monkeypatch.setattr("movinet.data.dataset.read_at", mistaken)
    dataset = ClipDataset(videos, TRANSFORM, SAMPLE)
    with pytest.raises(KeyError, match="a mistake of ours") as caught:
        _ = dataset[2]
    assert caught.value.__notes__ == [f"while {videos.videos[2].path} was read"]
    assert not dataset.broken.any()


def test_what_replaces_a_broken_video_depends_on_the_epoch_alone(videos: VideoSet, tmp_path: Path) -> None:
    listed = (replace(videos.videos[0], path=tmp_path / "gone.mp4"), *videos.videos[1:])
    datasets = [ClipDataset(replace(videos, videos=listed), TRANSFORM, SAMPLE, seed=3) for _ in range(2)]
    picks = [SampleKey(epoch, 0) for epoch in range(8)]
    chosen = [datasets[0][pick] for pick in picks]
    assert {example.video for example in chosen} == {2, 4}
    again = [datasets[1][pick] for pick in reversed(picks)][::-1]
    assert all(same(a, b) for a, b in zip(chosen, again, strict=True))


def test_a_class_without_a_readable_video_and_a_set_without_one(videos: VideoSet, tmp_path: Path) -> None:
    gone = replace(videos.videos[0], path=tmp_path / "gone.mp4", labels=("up",))
    late = replace(videos.videos[1], start=60.0)
    mixed = ClipDataset(replace(videos, videos=(gone, late, videos.videos[3])), TRANSFORM, SAMPLE)
    assert [mixed[index].video for index in range(3)] == [2, 2, 2]
    assert int(mixed[0].target) == 1
    with pytest.raises(MovinetError, match="none of 2 videos"):
        _ = ClipDataset(replace(videos, videos=(gone, late)), TRANSFORM, SAMPLE)[0]


def test_what_cannot_be_learned_is_refused(videos: VideoSet) -> None:
    with pytest.raises(MovinetError, match="at least one video"):
        ClipDataset(replace(videos, videos=()), TRANSFORM, SAMPLE)
    with pytest.raises(MovinetError, match="no class is called right"):
        ClipDataset(replace(videos, labels=("left",)), TRANSFORM, SAMPLE)
    with pytest.raises(MovinetError, match="no class is called down"):
        ClipDataset(videos, TRANSFORM, SAMPLE, Augmentation(swap=(("up", "down"),)))
    with pytest.raises(ValueError, match="rank"):
        EpochOrder(4, rank=2, ranks=2)
    with pytest.raises(ValueError, match="evenly"):
        EpochOrder(4, ranks=2, batch_size=3)


def test_image_folders(tmp_path: Path, videos: VideoSet) -> None:
    for number in range(6):
        (tmp_path / f"{number}.ppm").write_bytes(b"P6 32 32 255\n" + bytes([40 * number] * 32 * 32 * 3))
    dataset = ClipDataset(
        VideoSet((VideoEntry(tmp_path, ("up",)),), videos.labels, False),
        TRANSFORM,
        partial(dense, fps=5.0),
        folder_fps=10.0,
    )
    assert torch.allclose(dataset[0].clip[0, :, 0, 0].int(), torch.tensor([0, 80, 160], dtype=torch.int32), atol=1)


@pytest.mark.parametrize("augmentation", [None, AUGMENTATION])
def test_a_clip_is_opened_once(
    videos: VideoSet, augmentation: Augmentation | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def counting(*arguments: object) -> object:
        opened.append(arguments[0])
        return open_file(*arguments)

    monkeypatch.setattr("movinet.video.locations.open_file", counting)
    _ = ClipDataset(videos, TRANSFORM, SAMPLE, augmentation)[3]
    assert len(opened) == 1
