"""Mixed clips are mixed as their labels say."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from movinet.data.mixup import cutmix, mixup


@given(st.sampled_from([mixup, cutmix]), st.integers(0, 2**32), st.sampled_from([0.2, 1.0, 5.0]))
def test_labels_say_how_much_of_which_clip_is_seen(mix, seed: int, alpha: float) -> None:
    batch = 5
    targets = torch.eye(batch)
    # Clip i is a constant plane of its own in as many channels as there are clips, so a mean reads off the shares.
    clips = torch.eye(batch)[:, :, None, None, None].expand(-1, -1, 2, 12, 16).contiguous()
    mixed, labels = mix(clips, targets, alpha, np.random.default_rng(seed))
    assert torch.allclose(mixed.mean(dim=(2, 3, 4)), labels, atol=1e-6)
    assert torch.allclose(labels.sum(dim=1), torch.ones(batch))
    assert (mixed == mixed[:, :, :1]).all()
    if mix is cutmix:
        assert set(mixed.unique().tolist()) <= {0.0, 1.0}


def test_multi_hot_labels_are_mixed_too() -> None:
    targets = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    _, mixed = mixup(torch.rand(2, 3, 1, 4, 4), targets, 1.0, np.random.default_rng(1))
    assert (mixed[:, 1] == 1).all()


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_class_numbers_are_refused(mix) -> None:
    with pytest.raises(ValueError, match="float targets"):
        mix(torch.rand(2, 3, 1, 4, 4), torch.tensor([0, 1]), 1.0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="alpha"):
        mix(torch.rand(2, 3, 1, 4, 4), torch.eye(2), 0.0, np.random.default_rng(0))
