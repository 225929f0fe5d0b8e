"""The object behind everything a user does."""

import json
import re
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny import tiny_spec, tiny_weights

from movinet import MovinetError
from movinet.arch.step import HEAD_POOL
from movinet.arch.zoo import network_spec
from movinet.errors import BatchError, WeightsError
from movinet.events import EventDetector
from movinet.nn.movinet import MoViNet
from movinet.recognizer import Recognizer
from movinet.video.decode import read_clip
from movinet.video.encode import encode_video
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.load import load_weights
from movinet.weights.operating_point import OperatingPoint
from movinet.weights.weights import Weights, limited_positions


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "noise.mp4"
    encode_video(path, frames(17), fps=5)
    return path


def frames(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 48, 64, 3), dtype=np.uint8)


def test_streaming_a_file_ends_where_classifying_its_clip_does(weights: Path, video: Path) -> None:
    recognizer = Recognizer.load(weights)
    predictions = list(recognizer.stream(video))
    clip = torch.from_numpy(read_clip(video, recognizer.info.transform))
    with torch.inference_mode():
        expected = load_weights(weights).to_model()(clip[None]).softmax(-1)[0].numpy()
    assert [p.frames for p in predictions] == list(range(1, 18))
    np.testing.assert_allclose([p.time for p in predictions], np.arange(17) / 5, atol=1e-3)
    np.testing.assert_allclose(predictions[-1].probabilities, expected, atol=1e-5)
    np.testing.assert_array_equal(recognizer.classify(video).probabilities, predictions[-1].probabilities)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 130])
def test_frames_that_are_decoded_together_are_all_seen_in_order(weights: Path, tmp_path: Path, count: int) -> None:
    recognizer, seen = Recognizer.load(weights), []
    encode_video(tmp_path / "video.mp4", frames(count), fps=5)
    last = recognizer.classify(tmp_path / "video.mp4", progress=lambda done, _: seen.append(done))
    *_, expected = recognizer.stream(tmp_path / "video.mp4")
    assert (last.time, last.frames) == (expected.time, count)
    np.testing.assert_array_equal(last.probabilities, expected.probabilities)
    assert seen == list(range(1, count))


@pytest.mark.parametrize(
    ("fps", "shown"),
    [
        (None, range(6)),
        (5.0, range(6)),
        (10.0, [0, 2, 4]),
        (2.5, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
        (12.5, [0, 2, 5]),
    ],
)
def test_arrays_of_any_rate_are_seen_at_the_networks(weights: Path, fps: float | None, shown: Iterable[int]) -> None:
    recognizer, clip = Recognizer.load(weights), frames(6)
    answer = recognizer(clip, fps=fps)
    assert answer.frames == len(shown)
    np.testing.assert_array_equal(answer.probabilities, recognizer(clip[list(shown)]).probabilities)


def test_a_rate_that_is_none_or_of_a_file(weights: Path, video: Path) -> None:
    recognizer = Recognizer.load(weights)
    for fps in (0.0, -5.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="frames a second"):
            recognizer(frames(2), fps=fps)
    with pytest.raises(ValueError, match="says its own"):
        recognizer(video, fps=30)


def test_predictions_name_the_likeliest_labels_first(weights: Path) -> None:
    prediction = Recognizer.load(weights).push(frames(1)[0])
    assert prediction is not None
    top = prediction.top(3)
    assert top[0] == (prediction.label, prediction.confidence)
    assert [p for _, p in top] == sorted((p for _, p in top), reverse=True)
    assert sum(p for _, p in top) == pytest.approx(1)


def test_a_prediction_prints_as_one_line(weights: Path) -> None:
    prediction = Recognizer.load(weights).push(frames(1)[0], time=2.5)
    text = repr(prediction)
    assert text.startswith("Prediction(2.50 s, frame 1: ")
    assert len(text) < 80


def test_a_base_network_classifies_but_does_not_stream(tmp_path: Path, video: Path) -> None:
    recognizer = Recognizer.load(tiny_weights(tmp_path, causal=False))
    assert recognizer.classify(video).frames == 17
    with pytest.raises(MovinetError, match="base network"):
        recognizer.push(frames(1)[0])
    with pytest.raises(MovinetError, match="base network"):
        next(recognizer.stream(video))


@given(st.lists(st.floats(0.001, 0.5), min_size=1, max_size=60))
@settings(max_examples=20)
def test_frames_are_taken_at_the_networks_rate_whatever_the_cameras(gaps: list[float]) -> None:
    due = due_times(list(np.cumsum(gaps)))
    times = list(np.cumsum(gaps))
    assert due[0] == times[0]
    assert len(due) <= 1.75 + (times[-1] - times[0] + 1e-3) / 0.2  # where frames jitter, the last may be early
    # No frame was passed over that came two periods after the last one taken.
    assert all(any(0 <= t - taken < 0.4 for taken in due) for t in times)


@pytest.mark.parametrize("rate", [5, 10, 25, 30])
def test_a_steady_camera_is_thinned_to_exactly_the_networks_rate(rate: int) -> None:
    due = due_times([n / rate for n in range(4 * rate)])
    assert len(due) == 20
    np.testing.assert_allclose(np.diff(due), 0.2, atol=1.01 / rate)


def due_times(times: list[float]) -> list[float]:
    recognizer = fake_recognizer()
    image = frames(1)[0]
    return [t for t in times if recognizer.push(image, t) is not None]


def fake_recognizer(on_gap: str = "reset", memory: float | None = None) -> Recognizer:
    spec = tiny_spec()
    info = WeightsInfo("tiny_stream.test", spec, default_transform(spec))
    return Recognizer(Weights.of(MoViNet(spec), info), on_gap=on_gap, memory=memory)  # type: ignore[arg-type]


def test_a_gap_begins_a_new_stream_or_not_as_asked() -> None:
    image = frames(1)[0]
    for on_gap, expected in (("reset", 1), ("continue", 3)):
        recognizer = fake_recognizer(on_gap)
        recognizer.push(image, 0.0)
        recognizer.push(image, 0.2)
        after = recognizer.push(image, 30.0)
        assert after is not None
        assert after.frames == expected


def test_time_that_runs_backwards_counts_as_a_gap() -> None:
    recognizer, image = fake_recognizer(), frames(1)[0]
    recognizer.push(image, 10.0)
    after = recognizer.push(image, 3.0)
    assert after is not None
    assert after.frames == 1


def test_memory_forgets_and_reset_keeps_it() -> None:
    recognizer = fake_recognizer(memory=2.0)
    image = frames(1)[0]
    recognizer.push(image)
    recognizer.reset()
    recognizer.push(image)
    gamma = recognizer._own.snapshot().state[0].item()
    assert gamma ** (2.0 * 5) == pytest.approx(np.exp(-1), rel=1e-4)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_memory_of_no_time_is_refused_before_the_first_frame(weights: Path, seconds: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Recognizer.load(weights, memory=seconds)


def test_a_saved_state_goes_on_as_if_nothing_had_happened(weights: Path, tmp_path: Path) -> None:
    images = frames(9)
    one, two = Recognizer.load(weights, engine="torch"), Recognizer.load(weights, engine="torch")
    for image in images[:5]:
        one.push(image)
    one.save_state(tmp_path / "state.safetensors")
    two.restore_state(tmp_path / "state.safetensors")
    for image in images[5:]:
        a, b = one.push(image), two.push(image)
        assert a is not None
        assert b is not None
        np.testing.assert_array_equal(a.probabilities, b.probabilities)
        assert a.frames == b.frames


def test_a_state_of_other_weights_is_refused(weights: Path, tmp_path: Path) -> None:
    one = Recognizer.load(weights)
    one.push(frames(1)[0])
    one.save_state(tmp_path / "state.safetensors")
    trained = dict(load_weights(weights).arrays)
    trained["head.classifier.bias"] = trained["head.classifier.bias"] + 1
    other = Recognizer(Weights(one.info, trained))
    with pytest.raises(WeightsError, match="other weights"):
        other.restore_state(tmp_path / "state.safetensors")
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(WeightsError, match="cannot read"):
        other.restore_state(tmp_path / "junk")
    with pytest.raises(MovinetError, match="not begun"):
        Recognizer.load(weights).save_state(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((48, 64, 3), np.float32), "uint8"),
        (np.zeros((48, 64), np.uint8), "3"),
        (np.zeros((48, 64, 4), np.uint8), "3"),
        (np.zeros((3, 48, 64), np.uint8), "3"),
    ],
)
def test_frames_of_another_kind_are_refused(image: NDArray[np.generic], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fake_recognizer().push(image)  # type: ignore[arg-type]


def test_positions_stop_at_the_training_length() -> None:
    limited = limited_positions(network_spec("movinet_a3_stream"))
    assert limited.position_limit == 119  # type: ignore[union-attr]
    ensemble = limited_positions(network_spec("movinet_a6_stream"))
    assert [m.network.position_limit for m in ensemble.members] == [79, 119]  # type: ignore[union-attr]


def test_bfloat16_answers_much_like_float32(weights: Path) -> None:
    images = frames(6)
    full, half = Recognizer.load(weights), Recognizer.load(weights, precision="bfloat16", engine="torch")
    for image in images:
        a, b = full.push(image), half.push(image)
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a.probabilities, b.probabilities, atol=0.05)


def test_a_multi_label_network_gives_every_class_a_probability_of_its_own() -> None:
    loaded = load_weights("movinet_t0_stream.gestures")
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    one = Recognizer(loaded).push(frame)
    any_number = Recognizer(replace(loaded, info=replace(loaded.info, multi_label=True))).push(frame)
    assert one is not None
    assert any_number is not None
    odds = any_number.probabilities / (1 - any_number.probabilities)
    np.testing.assert_allclose(odds / odds.sum(), one.probabilities, rtol=1e-4)


def test_without_a_name_it_is_the_bundled_network(weights: Path) -> None:
    assert Recognizer.load().info.name == "movinet_t0_stream.gestures"
    assert Recognizer.load(weights).labels == ("left", "right", "other")
    nameless = load_weights(weights)
    nameless = replace(nameless, info=replace(nameless.info, labels=None))
    assert Recognizer(nameless).labels == ("class 0", "class 1", "class 2")


def test_a_prediction_is_plain_json(weights: Path) -> None:
    prediction = Recognizer.load(weights).push(frames(1)[0], time=2.5)
    assert prediction is not None
    plain = json.loads(json.dumps(prediction.to_dict(2)))
    assert (plain["time"], plain["frames"]) == (2.5, 1)
    assert [top["label"] for top in plain["top"]] == [label for label, _ in prediction.top(2)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_clips_of_floats_are_what_their_levels_are(weights: Path, dtype: torch.dtype) -> None:
    """As PyTorch has them, channels first, and as pictures are."""
    recognizer = Recognizer.load(weights)
    levels = frames(5)
    floats = torch.from_numpy(levels).float().div(255).to(dtype)
    rounded = (floats.float() * 255).round().to(torch.uint8).numpy()
    expected = recognizer(rounded).probabilities
    learned = floats.clone().requires_grad_()  # as a network that makes pictures gives them
    channels_first = floats.permute(3, 0, 1, 2), floats.permute(0, 3, 1, 2), floats.permute(3, 0, 1, 2)[None]
    for clip in (floats, learned, *channels_first):
        np.testing.assert_array_equal(recognizer(clip).probabilities, expected)
    np.testing.assert_array_equal(
        recognizer(floats[0].permute(2, 0, 1)).probabilities, recognizer(rounded[0]).probabilities
    )


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (torch.full((2, 24, 32, 3), 1.5), r"must lie in \[0, 1\], not in 1.5 to 1.5"),
        (torch.full((2, 24, 32, 3), float("nan")), r"must lie in \[0, 1\]"),
        (torch.zeros(3, 3, 24, 32), "two ways"),
        (torch.zeros(2, 3, 4, 24, 32), "shape"),
        (torch.zeros(24, 32), "gray"),
    ],
)
def test_floats_that_are_no_pictures_are_refused(weights: Path, clip: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recognizer.load(weights)(clip)


def test_a_bad_video_among_several_loses_only_itself(weights: Path, video: Path, tmp_path: Path) -> None:
    recognizer = Recognizer.load(weights)
    (tmp_path / "bad.mp4").write_bytes(b"junk")
    with pytest.raises(BatchError, match=r"2 of 4 could not be recognized: .*bad\.mp4") as caught:
        recognizer([video, tmp_path / "bad.mp4", frames(3), np.zeros((0, 4, 4, 3), np.uint8)])
    answers, errors = caught.value.answers, caught.value.errors
    assert [answer is None for answer in answers] == [False, True, False, True]
    assert list(errors) == [1, 3]
    np.testing.assert_array_equal(answers[0].probabilities, recognizer(video).probabilities)
    assert [p.frames for p in recognizer([video, frames(3)])] == [17, 3]


def test_events_of_a_video_are_those_of_its_predictions(weights: Path, video: Path) -> None:
    loaded = load_weights(weights)
    point = OperatingPoint(0.34, 0.3, memory=1.0, fps=5.0, size=(24, 32))  # the likeliest of three
    recognizer = Recognizer(replace(loaded, info=replace(loaded.info, operating_point=point)))
    found = list(recognizer.events(video))
    detector, expected = EventDetector.at(point), []
    for prediction in Recognizer(loaded, memory=1.0).stream(video):
        expected += detector.push(prediction)
    assert found == expected + detector.finish() != []
    with pytest.raises(MovinetError, match="base network"):
        list(Recognizer.load(tiny_weights(weights.parent, causal=False)).events(video))


def test_a_clip_that_a_base_network_cannot_hold_is_refused(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = Recognizer.load(tiny_weights(tmp_path, causal=False))
    height, width = recognizer.info.transform.size
    for held, refused in ((17, False), (16, True)):
        monkeypatch.setattr("movinet.runtime.whole_video._MOST_HELD", 3 * height * width * held)
        with pytest.raises(MovinetError, match="more than 16 frames are too many") if refused else nullcontext():
            assert recognizer(video).frames == 17


def test_what_other_libraries_call_it_is_answered_with_what_it_is_called_here(weights: Path) -> None:
    recognizer = Recognizer.load(weights)
    for of, name, ours in ((Recognizer, "from_pretrained", "Recognizer.load"), (recognizer, "predict", "recognizer(")):
        with pytest.raises(AttributeError, match=rf"Recognizer has no '{name}'; here it is {re.escape(ours)}"):
            getattr(of, name)
        assert not hasattr(of, name)


def test_embeddings_are_means_of_what_the_head_sees(weights: Path, video: Path) -> None:
    recognizer, network = Recognizer.load(weights), load_weights(weights).to_model().eval()
    clip = torch.from_numpy(read_clip(video, recognizer.info.transform))
    with torch.inference_mode():
        _, state = network.step(clip[None])
    embedding = recognizer.embed(video)
    np.testing.assert_allclose(embedding, state[HEAD_POOL][0].numpy(), atol=1e-5)
    assert embedding.dtype == np.float32
    session = recognizer.session()
    for frame in frames(3):
        session.push(frame)
    np.testing.assert_array_equal(session.embedding(), recognizer.embed(frames(3)))


def test_what_has_no_embedding(tmp_path: Path, weights: Path, video: Path) -> None:
    with pytest.raises(MovinetError, match="has not begun"):
        Recognizer.load(weights).session().embedding()
    with pytest.raises(MovinetError, match="base network"):
        Recognizer.load(tiny_weights(tmp_path, causal=False)).embed(video)
