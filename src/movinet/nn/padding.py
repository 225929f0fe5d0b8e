"""TensorFlow's 'same' padding in torch's terms."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def same_padding(weight: Tensor, size: Sequence[int], stride: int) -> tuple[Tensor, tuple[int, int]]:
    """TensorFlow's 'same' convolution with padding that is alike on both sides.

    With stride 2 an even side gets one row or column less at its beginning than at its end. A row of zeros before the
    kernel's first does the same to a kernel that is padded on both sides, and is cheaper than to pad images.

    Args:
        weight: (..., kh, kw), kh and kw odd.
        size: (..., H, W) of what it convolves.
        stride: 1 or 2.

    Returns:
        The kernel, larger by one where needed, and the (height, width) padding.
    """
    kh, kw = weight.shape[-2:]
    lop_h, lop_w = (int(stride == 2 and k > 1 and n % 2 == 0) for k, n in ((kh, size[-2]), (kw, size[-1])))
    if lop_h or lop_w:
        weight = F.pad(weight, (lop_w, 0, lop_h, 0))
    return weight, (kh // 2, kw // 2)
