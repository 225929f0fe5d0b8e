"""RMSpropTF as TensorFlow defines it, and which parameters learn at which rate."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from movinet.errors import MovinetError
from movinet.nn.baseline_network import BaselineNetwork
from movinet.nn.movinet import MoViNet

Groups = list[dict[str, Any]]


class RMSpropTF(torch.optim.Optimizer):
    """TensorFlow's RMSpropTF (tf_keras/src/optimizers/rmsprop.py), which every published MoViNet was trained with.

    For each variable w with gradient g, from zeros:

        g ← g + weight_decay · w
        g ← g · clip_norm / max(‖g‖, clip_norm)
        s ← decay · s + (1 - decay) · g²
        m ← momentum · m + lr · g / √(s + epsilon)
        w ← w - m

    `torch.optim.RMSprop` puts ε outside the root and the rate outside the momentum; with ε = 1 that is another
    optimizer. Keras' L2(c) adds 2c·w to the gradient: the official weight decay, 3e-5, is c = 1.5e-5.

    Args:
        params: Parameters or groups of them; see `parameter_groups`.
        lr: Learning rate.
        decay: Of the mean of squares, ρ.
        momentum: Of the update.
        epsilon: Inside the root.
        clip_norm: Largest norm of the gradient of each variable by itself (Keras' clipnorm); 0: no limit.
        weight_decay: L2, added to the gradient before clipping.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        *,
        decay: float = 0.9,
        momentum: float = 0.9,
        epsilon: float = 1.0,
        clip_norm: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        ranges = {
            "lr": lr >= 0,
            "decay": 0 <= decay < 1,
            "momentum": 0 <= momentum < 1,
            "epsilon": epsilon > 0,
            "clip_norm": clip_norm >= 0,
            "weight_decay": weight_decay >= 0,
        }
        if wrong := [name for name, right in ranges.items() if not right]:
            raise ValueError(f"{wrong[0]} is out of range: {locals()[wrong[0]]}")
        defaults = {
            "lr": lr,
            "decay": decay,
            "momentum": momentum,
            "epsilon": epsilon,
            "clip_norm": clip_norm,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient; the gradients stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._update(params, group)
        return loss

    def _update(self, params: list[Tensor], group: dict[str, Any]) -> None:
        for p in params:
            if not self.state[p]:
                self.state[p] = {"mean_square": torch.zeros_like(p), "momentum": torch.zeros_like(p)}
        squares = [self.state[p]["mean_square"] for p in params]
        updates = [self.state[p]["momentum"] for p in params]
        gradients: list[Tensor] | tuple[Tensor, ...] = [p.grad for p in params if p.grad is not None]
        if group["weight_decay"]:
            gradients = torch._foreach_add(gradients, params, alpha=group["weight_decay"])
        if group["clip_norm"]:
            norms = torch._foreach_norm(gradients)
            torch._foreach_clamp_min_(norms, group["clip_norm"])
            torch._foreach_div_(norms, group["clip_norm"])
            gradients = torch._foreach_div(gradients, norms)
        torch._foreach_mul_(squares, group["decay"])
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - group["decay"])
        roots = torch._foreach_add(squares, group["epsilon"])
        torch._foreach_sqrt_(roots)
        torch._foreach_mul_(updates, group["momentum"])
        torch._foreach_addcdiv_(updates, gradients, roots, value=group["lr"])
        torch._foreach_sub_(params, updates)


def adamw(groups: Groups, lr: float, betas: tuple[float, float] = (0.9, 0.999)) -> torch.optim.AdamW:
    """AdamW over `parameter_groups`; one fused kernel a group on CPU and CUDA."""
    kinds = {p.device.type for group in groups for p in group["params"]}
    return torch.optim.AdamW(groups, lr, betas, fused=kinds <= {"cpu", "cuda"})


def parameter_groups(
    model: MoViNet | BaselineNetwork,
    *,
    decay: float,
    layer_decay: float = 1.0,
    frozen: Sequence[str] = (),
    extra: Iterable[nn.Module] = (),
) -> Groups:
    """Groups of the parameters that learn, for either optimizer.

    Each has `weight_decay`, which is `decay` for kernels and 0 for the classifier, biases, norms and scalars, as in the
    official training; and `lr_scale`, for `set_lr`: `layer_decay`ᵏ for what lies k layers below the head.

    Args:
        model: In its training form.
        decay: Weight decay, or L2 of `RMSpropTF`.
        layer_decay: In (0, 1].
        frozen: Names of parts that keep their weights; see `freeze`.
        extra: Further modules, which learn at the head's rate.

    Raises:
        MovinetError: There is no part of such a name, or nothing is left to learn.
    """
    freeze(model, frozen)
    depths = _depths(model)
    head = max(depths.values())
    classifier = set(model.get_classifier().parameters())
    found: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = next(part for part in depths if _belongs(name, part))
            kernel = parameter.ndim > 1 and parameter not in classifier
            key = layer_decay ** (head - depths[part]), decay if kernel else 0.0
            found.setdefault(key, []).append(parameter)
    if not found:
        raise MovinetError(f"nothing is left to learn with {', '.join(frozen)} frozen; freeze less")
    for parameter in (p for module in extra for p in module.parameters() if p.requires_grad):
        found.setdefault((1.0, decay if parameter.ndim > 1 else 0.0), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay, "lr_scale": scale}
        for (scale, weight_decay), parameters in found.items()
    ]


def set_lr(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give each group its share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]


def freeze(model: nn.Module, parts: Sequence[str]) -> None:
    """Let these parts keep their weights and all others learn.

    Args:
        model: The network.
        parts: Names of modules, such as `stem`, `blocks.0` (all its layers) or `blocks.1.2`.

    Raises:
        MovinetError: There is no part of such a name.
    """
    for part in parts:
        _part(model, part)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not any(_belongs(name, part) for part in parts))


def train_mode(model: nn.Module, frozen: Sequence[str] = (), *, keep_statistics: bool = False) -> None:
    """Training mode, but for frozen parts: their batch norms keep the statistics they have, their layers are not
    dropped. To be called wherever `model.train()` would be.

    Args:
        model: The network.
        frozen: Names of parts; see `freeze`.
        keep_statistics: All batch norms do.
    """
    model.train()
    if keep_statistics:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.eval()
    for part in frozen:
        _part(model, part).eval()


def _part(model: nn.Module, name: str) -> nn.Module:
    try:
        if name:
            return model.get_submodule(name)
    except AttributeError:
        pass
    top = ", ".join(
        f"{n}.0 to {n}.{len(m) - 1}" if isinstance(m, nn.ModuleList) else n for n, m in model.named_children()
    )
    raise MovinetError(f"the network has no part called {name!r} to freeze; there are {top}, and what is inside them")


def _belongs(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _depths(model: MoViNet | BaselineNetwork) -> dict[str, int]:
    """Names of the stem, the layers and the head, counted from below."""
    if isinstance(model, BaselineNetwork):
        return {name: depth for depth, (name, _) in enumerate(model.named_children())}
    layers = [place.name for place in model.spec.layers()]
    return {part: depth for depth, part in enumerate(["stem", *layers, "head"])}
