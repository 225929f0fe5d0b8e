"""Networks in PyTorch by their names, and files of them: for those who build, train and change networks.

To run a network nothing of this is needed: `Recognizer` and `load_weights` do without PyTorch.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from movinet.arch.baseline_spec import BASELINES, BaselineSpec
from movinet.arch.options import SpecOptions
from movinet.arch.serialize import find_spec, read_spec
from movinet.arch.spec import EnsembleSpec, NetworkSpec, Spec
from movinet.arch.zoo import network_names
from movinet.errors import SpecError, WeightsError
from movinet.video.transform import Transform
from movinet.weights.info import WeightsInfo
from movinet.weights.load import describe, load_weights
from movinet.weights.registry import entries, is_on_hub, lookup
from movinet.weights.safetensors_file import save_weights
from movinet.weights.weights import Weights
from movinet.words import did_you_mean, fits

if TYPE_CHECKING:
    from torch import nn

    from movinet.nn.baseline_network import BaselineNetwork
    from movinet.nn.ensemble import Ensemble
    from movinet.nn.movinet import MoViNet
    from movinet.weights.download import Progress


_CALLED_ELSEWHERE = {
    "drop_path_rate": "stochastic_depth",
    "drop_rate": "dropout",
    "frame_rate": "fps",
    "img_size": "size",
    "input_size": "size",
    "num_frames": "frames",
}


class LoadedModel(NamedTuple):
    """`model, info = load_model(…)`."""

    model: "MoViNet | Ensemble | BaselineNetwork"
    info: WeightsInfo


def list_models(pattern: str = "*", pretrained: bool = False) -> list[str]:
    """The names that `create_model` takes: MoViNets, smallest first, then the networks they are compared with.

    Args:
        pattern: those that match it, such as `*_stream`; without `*`, `?` and `[`, those that contain it.
        pretrained: those that there are weights of, `architecture.tag`.
    """
    names = [*network_names(), *BASELINES]
    if pretrained:
        names = [entry.name for name in names for entry in entries() if entry.architecture == name]
    return [name for name in names if fits(name, pattern)]


def create_model(
    name: str | Path, pretrained: bool = False, num_classes: int | None = None, **overrides: Unpack[SpecOptions]
) -> "MoViNet | Ensemble | BaselineNetwork":
    """A network in PyTorch, in training mode as every new module is; `eval()` before you use it.

    >>> model = create_model("movinet_a2_stream", pretrained=True, num_classes=11)

    Args:
        name: one of `list_models()`, with a tag for the network of certain weights (`movinet_a2_stream.k600`); the
            path of a specification in YAML, or of a weights file; or `hf-hub:owner/name`.
        pretrained: with trained weights: those of the tag, or the published ones of this architecture, downloaded when
            first used. Otherwise parameters are fresh.
        num_classes: of the classifier, which is a new, untrained one where the weights have another number; 0 for none.
            What the name says by default.
        overrides: other fields of the specification to change, such as `decay=0.98`. Weights must fit all the same.

    Raises:
        SpecError: there is no such network, no such field, or the fields contradict each other.
        WeightsError: there are no such weights, or they do not fit the network.
        MissingExtra: PyTorch is not installed.
    """
    _refuse_specification(name)
    known = [*SpecOptions.__annotations__, "pretrained", "num_classes"]
    if unknown := [option for option in overrides if option not in known]:
        ours = _CALLED_ELSEWHERE.get(unknown[0])
        words = did_you_mean(unknown[0], known) if ours is None else f"; here it is {ours}"
        raise SpecError(f"create_model has no option {unknown[0]!r}{words}")
    if not isinstance(pretrained, bool):
        raise SpecError(f"pretrained is {pretrained!r}; want True or False (num_classes= says how many classes)")
    if not pretrained:
        spec = _spec_of(name)
        options: dict[str, Any] = {**overrides} | ({} if num_classes is None else {"num_classes": num_classes})
        spec = spec.with_options(**options) if options else spec
        if isinstance(spec, BaselineSpec):
            from movinet.baselines.build import build_baseline

            return build_baseline(spec)
        from movinet.nn.ensemble import build

        return build(spec)
    if _is_yaml(name):
        raise WeightsError(f"{name}: a specification has no weights; leave pretrained=True out, or give weights")
    model = load_weights(name, options=dict(overrides)).to_model().train()
    if num_classes is not None and num_classes != model.num_classes:
        model.reset_classifier(num_classes)
    return model


def load_model(
    source: str | Path,
    *,
    labels: str | Path | Sequence[str] | None = None,
    options: dict[str, Any] | None = None,
    offline: bool = False,
    progress: "Progress | None" = None,
) -> LoadedModel:
    """A network in PyTorch with its weights, in evaluation mode, and what is known of it.

    >>> model, info = load_model("movinet_a2_stream.k600")

    `load_weights`, which takes the same, gives the weights without PyTorch, for `Recognizer`, engines and exports.

    Raises:
        WeightsError, SpecError: as `load_weights`.
        MissingExtra: PyTorch is not installed.
    """
    weights = load_weights(source, labels=labels, options=options, offline=offline, progress=progress)
    return LoadedModel(weights.to_model(), weights.info)


def save_model(
    model: "nn.Module",
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    transform: Transform | None = None,
    multi_label: bool | None = None,
    info: WeightsInfo | None = None,
    half: bool = False,
) -> None:
    """Write a network as it is now into one file, whole or not at all: with its labels, its transform and what else it
    carries (`model.info`), so that `Recognizer.load`, `classify`, `watch`, `finetune` and `export` take it.

    Args:
        model: a `MoViNet` or `Ensemble`, also wrapped by `torch.compile` or `DistributedDataParallel`; left as it is.
        path: of the file, `.safetensors`; replaced if it exists.
        labels: one a class, in the order of the logits; the model's own by default.
        transform: how frames were prepared in training; the model's own by default.
        multi_label: whether a clip may show any number of the labels; as the model says by default.
        info: what to write instead of what the model carries, name, figures and all. By default the name is the
            network's with the file's for a tag, and figures measured before are left out.
        half: store float16: half the size, very nearly the same answers.

    Raises:
        WeightsError: labels do not fit the classes, or the file cannot be written.
        MovinetError: `model` is no network.
    """
    from movinet.nn.convert import unwrapped

    network = unwrapped(model)
    if Path(path).suffix != ".safetensors":
        raise WeightsError(f"{path}: the file to write must end in .safetensors")
    weights = _weights_of(network, Path(path).stem, labels, transform, multi_label, info)
    save_weights(path, weights.arrays, weights.info, half=half)


def push_model(
    model: "nn.Module",
    repo: str,
    *,
    labels: Sequence[str] | None = None,
    transform: Transform | None = None,
    multi_label: bool | None = None,
    info: WeightsInfo | None = None,
    private: bool = False,
    message: str = "",
) -> str:
    """Publish a network on the Hugging Face Hub as it is now, with a card that says what is known of it.

    Everything that takes a name takes `hf-hub:owner/name` then. Log in first (`hf auth login`, or `HF_TOKEN`).

    Args:
        model, labels, transform, multi_label, info: as of `save_model`; `repo`'s name is the tag.
        repo: `owner/name`; a repository that is there gets a new commit.
        private: a new repository is for its owner only.
        message: of the commit.

    Returns:
        The repository's address.

    Raises:
        WeightsError: labels do not fit the classes, nobody is logged in, or the server refuses.
        MissingExtra: huggingface_hub is not installed (`movinet[hub]`).
        MovinetError: `model` is no network.
    """
    from movinet.nn.convert import unwrapped
    from movinet.weights.hub import push

    weights = _weights_of(unwrapped(model), repo.rpartition("/")[2], labels, transform, multi_label, info)
    return push(weights, repo, private=private, message=message)


def _weights_of(
    network: "MoViNet | Ensemble | BaselineNetwork",
    tag: str,
    labels: Sequence[str] | None,
    transform: Transform | None,
    multi_label: bool | None,
    info: WeightsInfo | None,
) -> Weights:
    """A network with what is said of it, as it will be read again."""
    if info is None:
        name = f"{network.spec.name}.{tag}"
        info = replace(network.info, name=name, accuracy={}, agreement={}, training={}, notes="", operating_point=None)
    # First without labels: those that came along may be of another number of classes.
    info = Weights.of(network, info).info
    if labels is not None:
        if isinstance(labels, str):
            raise WeightsError(f"labels are {labels!r}; want a list with one label a class")
        info = info.with_labels(tuple(labels))
    if transform is not None:
        info = replace(info, transform=transform)
    if multi_label is not None:
        info = replace(info, multi_label=multi_label)
    return Weights.of(network, WeightsInfo.from_dict(info.to_dict()))


def _spec_of(name: str | Path) -> Spec:
    """The network that a name, a specification or a weights file describes."""
    if _is_yaml(name):
        return read_spec(name)
    if isinstance(name, str):
        if name in network_names() or name in BASELINES:
            return find_spec(name)
        if entry := lookup(name):
            return describe(entry).spec
        if not is_on_hub(name) and not Path(name).exists():
            known = [*list_models(), *list_models(pretrained=True)]
            raise SpecError(f"no network is called {name!r}{did_you_mean(name, known, most=2)}")
    return load_weights(name).spec


def _refuse_specification(name: object) -> None:
    if isinstance(name, NetworkSpec | EnsembleSpec):
        kind = "Ensemble" if isinstance(name, EnsembleSpec) else "MoViNet"
        raise SpecError(f"create_model wants a name or a file; movinet.{kind}(spec) makes a network of a specification")


def _is_yaml(name: str | Path) -> bool:
    return str(name).endswith((".yaml", ".yml"))
