"""The reference files are whole, and the seeded values are those that TensorFlow saw."""

import hashlib

import numpy as np
import pytest
from reference.cases import CASES, expected, networks, variables
from reference.seeded import SUFFIX, fingerprint, seeded_array, seeded_clip


def test_every_published_network_has_a_case() -> None:
    published = {(f"a{n}", causal) for n in range(6) for causal in (False, True)} | {("t0", True)}
    assert {(case["model_id"], case["causal"]) for case in CASES.values()} == published


@pytest.mark.parametrize("name", CASES)
def test_case_is_whole(name: str) -> None:
    case, arrays = CASES[name], expected(name)
    batch, frames, _, _ = case["clip"]
    assert arrays["logits"].shape == (batch, case["classes"])
    assert 1 < np.abs(arrays["logits"]).max() < 50
    assert case["network"] in networks()
    if case["causal"]:
        assert sum(case["cuts"]) == frames
        assert arrays["frame_logits"].shape == (frames, batch, case["classes"])
        # The official code itself agrees on whole, cut and single frames this well and no better.
        for final in (arrays["cut_logits"], arrays["frame_logits"][-1]):
            np.testing.assert_allclose(final, arrays["logits"], atol=1e-5 * np.abs(arrays["logits"]).max())


def test_seeded_values_are_those_tensorflow_saw() -> None:
    clip = seeded_clip("a0_base", (2, 3))
    kernel = seeded_array("model/layer_with_weights-1/_classifier/_conv/kernel", (1, 1, 1, 5, 3))
    digest = hashlib.sha256(clip.tobytes() + kernel.tobytes()).hexdigest()
    assert digest == "9e48cdc5c7f1730077782b4dd88163ee4a7472c7d1e3bc0441e7eb38958fd1a3"


@pytest.mark.parametrize("network", networks())
def test_no_variable_is_trivial_and_all_differ(network: str) -> None:
    shapes = {key: shape for key, shape in variables(network).items() if np.prod(shape) < 10_000}
    values = {key: seeded_array(key, shape) for key, shape in shapes.items()}
    assert len({value.tobytes() for value in values.values()}) == len(values)
    for key, value in values.items():
        assert value.dtype == np.float32
        assert value.shape == shapes[key]
        assert np.abs(value).max() > 0.01, key
        np.testing.assert_array_equal(value, seeded_array(key + SUFFIX, shapes[key]))


def test_unknown_variable_is_refused() -> None:
    with pytest.raises(ValueError, match="save_counter"):
        seeded_array("save_counter" + SUFFIX, ())


def test_fingerprint_sees_order_and_value() -> None:
    array = seeded_clip("clip", (2, 3, 4))
    assert fingerprint("x", array) != fingerprint("x", array[::-1])
    assert fingerprint("x", array) != fingerprint("y", array)
    assert abs(fingerprint("x", array)) < 1.0
