"""A network as data: what it is, its arrays, and what is known of them. Engines, sessions and files go by this."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.spec import EnsembleSpec, NetworkSpec, Spec
from movinet.costs import parameter_shapes, parameters
from movinet.errors import WeightsError
from movinet.weights.info import WeightsInfo, default_transform
from movinet.words import counted

if TYPE_CHECKING:
    from movinet.nn.baseline_network import BaselineNetwork
    from movinet.nn.ensemble import Ensemble
    from movinet.nn.movinet import MoViNet

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class WeightsIdentity:
    """What is left of weights once an engine has copies of its own of the arrays: these are megabytes."""

    info: WeightsInfo
    hash: str

    @property
    def spec(self) -> Spec:
        return self.info.spec


@dataclass(frozen=True, eq=False, repr=False)
class Weights:
    """A network ready for any engine, without PyTorch.

    Args:
        info: what the network is, how its frames are prepared, its labels.
        arrays: float32 parameters and statistics, named as in the state dict of `MoViNet` (see
            `movinet.costs`). They are never written to.

    Raises:
        WeightsError: arrays are missing, left over or of another shape.
    """

    info: WeightsInfo
    arrays: Arrays

    def __post_init__(self) -> None:
        check_fit(self.arrays, self.info.spec)

    def __repr__(self) -> str:
        return f"Weights({self.info}, {parameters(self.spec) / 1e6:.2f} M parameters)"

    @property
    def spec(self) -> Spec:
        return self.info.spec

    @cached_property
    def hash(self) -> str:
        """SHA-256 over names, shapes and values of the arrays: labels, thresholds and options leave it as it is."""
        digest = hashlib.sha256()
        for name in sorted(self.arrays):
            array = np.asarray(self.arrays[name], order="C")
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.data)
        return digest.hexdigest()

    @property
    def identity(self) -> WeightsIdentity:
        """All but the arrays."""
        return WeightsIdentity(self.info, self.hash)

    def members(self) -> "tuple[Weights, ...]":
        """The networks of an ensemble, each by itself; of a single network itself."""
        spec, transform = self.spec, self.info.transform
        if not isinstance(spec, EnsembleSpec):
            return (self,)
        parts = []
        for i, member in enumerate(spec.members):
            prefix = f"members.{i}."
            size = spec.member_size(member, transform.size)
            fps = transform.fps * float(member.rate)
            # The frames come as the ensemble's; what is resized between them and the member is the crop.
            own = replace(transform, size=size, resize_short=min(size), fps=fps)
            arrays = {k.removeprefix(prefix): v for k, v in self.arrays.items() if k.startswith(prefix)}
            parts.append(Weights(replace(self.info, spec=member.network, transform=own), arrays))
        return tuple(parts)

    def with_options(self, **options: Any) -> Self:
        """The same arrays for a network that differs in what parameters do not tell, such as `position_limit`.

        Raises:
            SpecError: there is no such option.
            WeightsError: the arrays do not fit the network any more.
        """
        return replace(self, info=self.info.with_spec(self.spec.with_options(**options)))

    def with_position_limits(self) -> "Weights":
        """The same network with positional encodings that stop at the training length: later positions, which training
        never saw, carry no meaning. Live streams and exported networks want this; the paper's networks count on."""
        return replace(self, info=replace(self.info, spec=limited_positions(self.spec)))

    @classmethod
    def untrained(cls, spec: Spec, seed: int = 0) -> Self:
        """A network with random kernels, for counting and timing; one to train comes from `movinet.create_model`."""
        info = WeightsInfo(f"{spec.name}.untrained", spec, default_transform(spec), source="random numbers")
        if isinstance(spec, BaselineSpec):
            from movinet.baselines.build import build_baseline
            from movinet.nn.convert import arrays_of

            return cls(info, arrays_of(build_baseline(spec, seed=seed)))
        random = np.random.default_rng(seed)
        arrays = {}
        for name, shape in parameter_shapes(spec).items():
            if len(shape) > 1:
                array = random.standard_normal(shape, np.float32) * np.float32((2 / prod(shape[1:])) ** 0.5)
            else:
                # ReZero begins at zero in training, and every layer with it.
                value = (
                    1.0 if name.endswith((".norm.weight", "running_var")) else 0.1 if name.endswith("scale") else 0.0
                )
                array = np.full(shape, value, np.float32)
            arrays[name] = array
        return cls(info, arrays)

    @classmethod
    def of(cls, model: "MoViNet | Ensemble | BaselineNetwork", info: WeightsInfo | None = None) -> "Weights":
        """The weights of a PyTorch network as they are now: arrays of their own, on the CPU.

        Args:
            model: left as it is.
            info: what is known of it; what the network itself carries by default. Its labels are left out where the
                network has another number of classes.

        Raises:
            WeightsError: the network has other layers than its specification.
        """
        from movinet.nn.convert import arrays_of

        info, spec = info or model.info, model.spec
        if info.spec.num_classes != spec.num_classes:
            info = replace(info, spec=spec, labels=None, background=None, operating_point=None)
        arrays = arrays_of(model)
        try:
            return cls(replace(info, spec=spec), arrays)
        except WeightsError as error:
            raise WeightsError(
                f"{error}; layers were exchanged by hand, which the specification does not know: another classifier is "
                "made by model.reset_classifier(num_classes), other layers by another specification"
            ) from error

    def to_model(self) -> "MoViNet | Ensemble | BaselineNetwork":
        """The network in PyTorch, in evaluation mode, with parameters of its own.

        Raises:
            MovinetError: PyTorch is not installed.
        """
        if isinstance(self.spec, BaselineSpec):
            from movinet.baselines.build import baseline_of

            return baseline_of(self.spec, self.arrays, self.info)
        from movinet.nn.convert import model_of

        return model_of(self.spec, self.arrays, self.info)


def check_fit(arrays: Mapping[str, NDArray[Any]], spec: Spec) -> None:
    """Refuse arrays that are not those of the network.

    Raises:
        WeightsError: arrays are missing, left over or of another shape.
    """
    wanted = parameter_shapes(spec)
    missing, extra = wanted.keys() - arrays.keys(), arrays.keys() - wanted.keys()
    wrong = {k for k in wanted.keys() & arrays.keys() if wanted[k] != arrays[k].shape}
    if missing or extra or wrong:
        raise WeightsError(
            f"the weights do not fit {spec.name}: {counted(len(missing), 'parameter')} missing, {len(extra)} left "
            f"over, {len(wrong)} of another shape, {min(missing | extra | wrong)} among them"
        )


def limited_positions(spec: Spec) -> Spec:
    """The specification `Weights.with_position_limits` uses."""
    if isinstance(spec, EnsembleSpec):
        return replace(spec, members=tuple(replace(m, network=_limited(m.network)) for m in spec.members))
    return spec if isinstance(spec, BaselineSpec) else _limited(spec)


def _limited(spec: NetworkSpec) -> NetworkSpec:
    if spec.positional_encoding and spec.position_limit is None:
        return spec.with_options(position_limit=spec.frames - 1)
    return spec
