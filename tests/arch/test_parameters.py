"""Names and shapes that are counted are those a network in PyTorch has."""

from arch.specs import ensemble_specs, network_specs
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.arch.parameters import parameter_shapes
from movinet.arch.spec import Spec
from movinet.nn.ensemble import build


@given(st.one_of(network_specs(), ensemble_specs()))
@settings(max_examples=60)
def test_every_parameter_is_named_and_sized(spec: Spec) -> None:
    state = build(spec).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items() if not name.endswith("num_batches_tracked")}
    assert parameter_shapes(spec) == shapes
