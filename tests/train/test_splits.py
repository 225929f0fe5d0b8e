"""Nothing that is trained on is looked at; nothing that is to be learned is kept from training."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.errors import MovinetError
from movinet.labeled.entries import DatasetIndex, VideoEntry, VideoSet
from movinet.train.recipe_data import Videos
from movinet.train.splits import choose_splits

LABELS = ("left", "other", "right")


def listing(multi_label: bool = False, **splits: list[VideoEntry]) -> DatasetIndex:
    sets = {name: VideoSet(tuple(videos), LABELS, multi_label) for name, videos in splits.items()}
    return DatasetIndex("a CSV list", sets)


def videos(name: str, count: int = 10, labels: tuple[str, ...] = LABELS) -> list[VideoEntry]:
    return [VideoEntry(Path(f"{name}/{label}/{n}.mp4"), (label,)) for label in labels for n in range(count)]


def data(
    train: tuple[str, ...] = (),
    validation: tuple[str, ...] = (),
    test: tuple[str, ...] = (),
    held_out: float = 0.15,
) -> Videos:
    return Videos(("clips",), None, train, validation, test, held_out)


def counts(part: VideoSet | None) -> dict[str, int]:
    return dict(Counter(label for video in part.videos for label in video.labels)) if part else {}


def test_splits_are_known_by_their_names() -> None:
    named = listing(training=videos("a"), Dev=videos("b"), val2=videos("c"), tests=videos("d"), unused=videos("e"))
    splits = choose_splits(named, data())
    assert splits.train == named.select("training")
    assert splits.validation == named.select("Dev", "val2")
    assert splits.test == named.select("tests")
    assert splits.warnings == ("splits that are not used: unused",)


def test_files_with_two_uses_are_told_of(tmp_path: Path) -> None:
    """Also under another name."""
    (tmp_path / "a.mp4").touch()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    first, again = (VideoEntry(tmp_path / name, ("left",)) for name in ("a.mp4", "link.mp4"))
    splits = choose_splits(listing(train=[first, *videos("a")], val=[again, *videos("b")], test=videos("c")), data())
    assert [w for w in splits.warnings if "flatter" in w] == [
        f"1 file is for training and for validation, whose scores flatter then: {tmp_path / 'a.mp4'}, …"
    ]


def test_folds_left_over_are_trained_on() -> None:
    folds = listing(**{str(fold): videos(str(fold)) for fold in range(4)})
    splits = choose_splits(folds, data(test=("3",), validation=("1",)))
    assert splits.train == folds.select("0", "2")
    assert splits.validation == folds.select("1")
    assert splits.test == folds.select("3")


def test_a_split_may_be_put_to_another_use() -> None:
    splits = choose_splits(listing(train=videos("a"), test=videos("b")), data(validation=("test",)))
    assert splits.validation is not None
    assert splits.test is None


def test_a_share_of_every_class_is_held_out() -> None:
    many = [*videos("a", 20, ("left",)), *videos("a", 10, ("right", "other"))]
    splits = choose_splits(listing(all=many), data(held_out=0.2))
    assert counts(splits.validation) == {"left": 4, "right": 2, "other": 2}
    assert counts(splits.train) == {"left": 16, "right": 8, "other": 8}
    assert choose_splits(listing(all=many), data(held_out=0.2)) == splits
    assert choose_splits(listing(all=many), data(held_out=0.2), seed=1) != splits


def test_nothing_is_held_out_where_nothing_may_be() -> None:
    assert choose_splits(listing(all=videos("a")), data(held_out=0)).validation is None
    few = choose_splits(listing(all=videos("a", 2)), data())
    assert few.validation is None
    assert "too few videos" in few.warnings[0]
    one_rare = [*videos("a", 10, ("left", "right")), *videos("a", 1, ("other",))]
    splits = choose_splits(listing(all=one_rare), data())
    assert counts(splits.validation) == {"left": 2, "right": 2}
    assert splits.warnings == ("too few clips to hold any out for validation: other",)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.sets(st.sampled_from(LABELS))), min_size=2, max_size=60),
    st.floats(0, 0.99),
    st.integers(0, 9),
)
def test_a_file_is_on_one_side_and_every_class_in_training(
    rows: list[tuple[int, set[str]]], share: float, seed: int
) -> None:
    stretches = [VideoEntry(Path(f"a/../{file}.mp4"), tuple(sorted(shown)), n) for n, (file, shown) in enumerate(rows)]
    stretches += [VideoEntry(Path("last.mp4"), LABELS, len(rows))]
    splits = choose_splits(listing(multi_label=True, all=stretches), data(held_out=share), seed)
    held_out = splits.validation.videos if splits.validation else ()
    assert sorted([*splits.train.videos, *held_out], key=lambda video: video.start) == sorted(
        stretches, key=lambda video: video.start
    )
    assert not {video.path for video in splits.train.videos} & {video.path for video in held_out}
    total = counts(VideoSet(tuple(stretches), LABELS, True))
    for label, count in counts(splits.validation).items():
        assert count <= share * total[label] + 0.5
    assert counts(splits.train).keys() == total.keys()


def test_one_file_by_two_names_is_one_file() -> None:
    names = ("a", "b/../a")
    twice = [VideoEntry(Path(f"{name}/{n}.mp4"), (LABELS[n % 3],)) for n in range(30) for name in names]
    splits = choose_splits(listing(all=twice), data(held_out=0.5))
    assert splits.validation is not None
    assert not {v.path.name for v in splits.train.videos} & {v.path.name for v in splits.validation.videos}


@pytest.mark.parametrize(
    ("splits", "asked", "message"),
    [
        ({"train": videos("a")}, data(test=("fold 3",)), "no split 'fold 3'; there are train"),
        ({"1": videos("a"), "2": videos("b")}, data(test=("2",), validation=("2",)), "'2' is used twice"),
        ({"test": videos("a")}, data(), "no videos to train on.*test for test"),
        ({"all": videos("a", labels=("left",))}, data(), "all videos to train on show left; .* add clips of something"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(splits: dict[str, list[VideoEntry]], asked: Videos, message: str) -> None:
    with pytest.raises(MovinetError, match=message):
        choose_splits(listing(**splits), asked)


def test_a_class_that_is_never_shown_is_told_of() -> None:
    splits = choose_splits(
        listing(train=videos("a", labels=("left", "right")), test=videos("b"), val=videos("c")), data()
    )
    assert splits.warnings == ("no clips to train on, so never to be recognized: other",)


def test_one_class_is_enough_where_clips_may_show_none() -> None:
    shown = [VideoEntry(Path(f"{n}.mp4"), ("left",) if n % 2 else ()) for n in range(20)]
    splits = choose_splits(DatasetIndex("a list", {"all": VideoSet(tuple(shown), ("left",), True)}), data())
    assert splits.validation is not None
    assert {len(video.labels) for video in splits.validation.videos} == {0, 1}
