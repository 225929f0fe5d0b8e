"""SlowFast R50 (Feichtenhofer et al., arXiv 1812.03982, table 1): a slow pathway, and a fast one of few channels."""

import torch
from torch import Tensor, nn

from movinet.arch.baseline_spec import BaselineSpec
from movinet.baselines.resnet3d import depths, stage, stem
from movinet.nn.baseline_network import BaselineNetwork
from movinet.weights.info import WeightsInfo

_FAST = 8  # the fast pathway has an eighth of the channels


class SlowFast(BaselineNetwork):
    """The fast pathway sees every frame of the clip, the slow one every `alpha`-th; laterals go from fast to slow."""

    def __init__(self, spec: BaselineSpec, info: WeightsInfo | None = None) -> None:
        super().__init__(spec, info)
        self.alpha = spec.alpha
        width = round(spec.width)
        narrow = max(1, width // _FAST)
        self.slow_stem, self.fast_stem = stem(width, 1), stem(narrow, 5)
        slow, fast = width, narrow
        slow_stages, fast_stages, laterals = [], [], []
        for n, depth in enumerate(depths(spec.depth)):
            laterals.append(self._lateral(fast, spec.lateral_kernel))
            stride = 1 if n == 0 else 2
            slow_stages.append(stage(slow + 2 * fast, width << n, 4 * width << n, depth, 1 if n < 2 else 3, stride))
            fast_stages.append(stage(fast, narrow << n, 4 * narrow << n, depth, 3, stride))
            slow, fast = 4 * width << n, 4 * narrow << n
        self.slow_stages, self.fast_stages = nn.ModuleList(slow_stages), nn.ModuleList(fast_stages)
        self.laterals = nn.ModuleList(laterals)
        self.dropout = nn.Dropout(spec.dropout)
        self.add_classifier(slow + fast, spec.num_classes)

    @property
    def receptive_field(self) -> int:
        fast = 5 + 2 * sum(depths(self.spec.depth))
        return max(fast, 1 + 2 * self.alpha * sum(depths(self.spec.depth)[2:]))

    def forward(self, clip: Tensor) -> Tensor:
        """Logits (B, classes) of clips (B, 3, T, H, W); the last frame stays until T is a multiple of alpha."""
        if missing := -clip.shape[2] % self.alpha:
            clip = torch.cat([clip, clip[:, :, -1:].expand(-1, -1, missing, -1, -1)], dim=2)
        # The slow pathway's frames are spread from the first to the last, as in the published networks.
        count = clip.shape[2] // self.alpha
        chosen = torch.linspace(0, clip.shape[2] - 1, count, device=clip.device).long()
        slow, fast = self.slow_stem(clip.index_select(2, chosen)), self.fast_stem(clip)
        for lateral, slow_blocks, fast_blocks in zip(self.laterals, self.slow_stages, self.fast_stages, strict=True):
            slow = torch.cat([slow, lateral(fast)], dim=1)
            assert isinstance(slow_blocks, nn.ModuleList)
            assert isinstance(fast_blocks, nn.ModuleList)
            for block in slow_blocks:
                slow, _ = block(slow)
            for block in fast_blocks:
                fast, _ = block(fast)
        return self.classifier(self.dropout(torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], dim=1)))

    def _lateral(self, channels: int, kernel: int) -> nn.Sequential:
        conv = nn.Conv3d(channels, 2 * channels, (kernel, 1, 1), (self.alpha, 1, 1), (kernel // 2, 0, 0), bias=False)
        return nn.Sequential(conv, nn.BatchNorm3d(2 * channels), nn.ReLU())
