"""What `repr` says of a network: a page instead of every module (`print(model.blocks)` has those)."""

from movinet.arch.count import macs_per_frame, parameters, parts
from movinet.arch.spec import EnsembleSpec, NetworkSpec
from movinet.weights.info import WeightsInfo
from movinet.words import counted


def summary(info: WeightsInfo) -> str:
    """A network or ensemble in a few lines."""
    spec, transform = info.spec, info.transform
    assert isinstance(spec, NetworkSpec | EnsembleSpec)
    kind = "stream" if spec.causal else "base"
    (height, width), (low, high) = transform.size, transform.scale
    lines = [
        f"{'Ensemble' if isinstance(spec, EnsembleSpec) else 'MoViNet'}({info.name}: a {kind} network",
        f"  clip (B, 3, T, {height}, {width}) in [{low:g}, {high:g}] at {transform.fps:g} frames/s -> {_answer(info)}",
        f"  {parameters(spec) / 1e6:.2f} M parameters, {macs_per_frame(spec) / 1e6:.1f} M multiply-adds a frame",
    ]
    if isinstance(spec, EnsembleSpec):
        lines += [f"  members.{i}: {m.network.name}, {m.rate} of the frames" for i, m in enumerate(spec.members)]
    else:
        lines += _parts(spec)
    return "\n".join(lines) + "\n)"


def _answer(info: WeightsInfo) -> str:
    if not info.spec.num_classes:
        return f"(B, {info.spec.num_outputs}), without a classifier"
    known = ""
    if info.labels:
        some = ", ".join(info.labels[:3])
        known = f": {some}{', …' if len(info.labels) > 3 else ''}"
    together = " (any number of them at once)" if info.multi_label else ""
    return f"{counted(info.spec.num_classes, 'class', 'classes')}{together}{known}"


def _parts(spec: NetworkSpec) -> list[str]:
    costs = {part.name: part.parameters for part in parts(spec)}
    rows = [("stem", f"{spec.stem} channels", costs["stem"])]
    for b, block in enumerate(spec.blocks):
        layers = counted(len(block.layers), "layer")
        cost = sum(n for name, n in costs.items() if name.startswith(f"blocks.{b}."))
        rows.append((f"blocks.{b}", f"{layers}, {block.channels} channels, stride {block.stride}", cost))
    widths = [spec.project, spec.hidden, *([spec.num_classes] if spec.num_classes else [])]
    rows.append(("head", " -> ".join(map(str, widths)), costs["head"]))
    return [f"  {name:9} {what:36} {cost:>10,} parameters" for name, what, cost in rows]
