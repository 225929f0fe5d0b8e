"""The page that says what a repository of weights holds, written from what the weights know of themselves."""

from movinet.costs import macs_per_frame, parameters
from movinet.weights.info import WeightsInfo
from movinet.words import counted

_LISTED = 50  # labels


def model_card(info: WeightsInfo, repo: str) -> str:
    """A README.md for the Hub: Markdown, with the Hub's own entries before it.

    Args:
        info: what the weights know.
        repo: `owner/name`, where it will be.
    """
    import yaml

    spec, transform = info.spec, info.transform
    entries = {
        "library_name": "movinet",
        "pipeline_tag": "video-classification",
        "tags": ["movinet", "video-classification", "action-recognition", "streaming" if spec.causal else "clips"],
        **({"license": info.license.lower()} if info.license != "unknown" else {}),
    }
    height, width = transform.size
    rows = [
        (
            "network",
            f"{spec.name}, {'stream (one frame at a time, or clips)' if spec.causal else 'base (whole clips)'}",
        ),
        (
            "input",
            f"RGB, {height}×{width} pixels, {transform.fps:g} frames a second, short side {transform.resize_short}",
        ),
        ("parameters", f"{parameters(spec) / 1e6:.2f} M"),
        ("multiply-adds a frame", f"{macs_per_frame(spec) / 1e6:.1f} M"),
        ("classes", counted(spec.num_classes, "class", "classes") + (", any number a clip" * info.multi_label)),
        ("license", info.license),
        ("source", info.source),
    ]
    rows += [(f"accuracy, {what}", f"{percent:.2f} %") for what, percent in info.accuracy.items()]
    rows += [(f"labels as in float32, {what}", f"{percent:.2f} %") for what, percent in info.agreement.items()]
    lines = [
        f"---\n{yaml.safe_dump(entries, sort_keys=False)}---\n",
        f"# {_cell(info.name)}\n",
        "Weights for [movinet](https://arxiv.org/abs/2103.11511), with their preprocessing and labels in one file.\n",
        "| | |\n|---|---|",
        *(f"| {what} | {_cell(text)} |" for what, text in rows),
        "",
        f"```bash\npip install 'movinet[hub]'\nmovinet classify clip.mp4 --model hf-hub:{repo}\n```\n",
        f'```python\nimport movinet\n\nmodel, info = movinet.load_model("hf-hub:{repo}")\n```\n',
    ]
    if info.labels:
        some = ", ".join(_cell(label) for label in info.labels[:_LISTED])
        more = len(info.labels) - _LISTED
        lines.append(f"Labels: {some}{f' and {more} more' if more > 0 else ''}.\n")
    if info.notes:
        lines.append(f"Notes: {_cell(info.notes)}\n")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Text from a file as one cell of a table, and nothing else: no markup of its own."""
    for letter in "\\`*_[]<>|#":
        text = text.replace(letter, f"\\{letter}")
    return " ".join(text.split())
