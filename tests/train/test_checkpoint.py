"""A checkpoint holds everything bit by bit, or the one before is still there."""

import resource
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD, Adafactor, AdamW, Optimizer, RMSprop

from movinet.errors import MovinetError, WeightsError
from movinet.train.checkpoint import load_checkpoint, optimizer_tensors, restore_optimizer, save_checkpoint

TENSORS = {"model": {"stem.weight": torch.arange(6.0).view(2, 3), "scale": torch.tensor(0.5)}}
PROGRESS = {"step": 7, "best": 0.25, "recipe": "é書"}


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file grows beyond so many bytes: what a full disk does, in the middle of writing."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_every_bit_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    kinds = (torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.uint8, torch.bool)
    odd = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])
    tensors: dict[str, dict[str, Tensor]] = {
        **TENSORS,
        "average": {str(kind): torch.tensor([0, 1, 2]).to(kind) for kind in kinds},
        "auxiliary": {"a/b.c": odd, "none": torch.ones(0, 3)},
        "conv": {"channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)},
        "optimizer": {},
        "trained": {"weight": Parameter(torch.ones(2))},
    }
    save_checkpoint(path, tensors, PROGRESS)
    read = load_checkpoint(path)
    assert read.progress == PROGRESS
    assert read.tensors.keys() == tensors.keys()
    for part, named in tensors.items():
        assert read.tensors[part].keys() == named.keys()
        for name, value in named.items():
            found = read.tensors[part][name]
            assert (found.dtype, found.shape) == (value.dtype, value.shape)
            assert bytes_of(found) == bytes_of(value)


def bytes_of(value: Tensor) -> bytes:
    return bytes(value.detach().contiguous().view(-1).view(torch.uint8).tolist())


def test_others_may_read_it_where_they_may_read_other_files(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", TENSORS, PROGRESS)
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("checkpoint", "plain")}
    assert len(modes) == 1


def test_a_full_disk_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, TENSORS, PROGRESS)
    before = path.read_bytes()
    with file_limit(20_000), pytest.raises(MovinetError, match=r"checkpoint\.safetensors: cannot write.*too large"):
        save_checkpoint(path, {"model": {"weight": torch.zeros(10_000)}}, {"step": 8})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, TENSORS, PROGRESS)
    left = tmp_path / ".checkpoint.safetensors.part"
    left.mkdir()
    for name in ("part", ".tmpK5psdQ"):
        (left / name).write_bytes(bytes(100))
    assert load_checkpoint(path).progress == PROGRESS
    save_checkpoint(path, TENSORS, PROGRESS)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match="cannot write the checkpoint: No such file"):
        save_checkpoint(tmp_path / "nowhere" / "checkpoint", TENSORS, PROGRESS)
    with pytest.raises(MovinetError, match="cannot write"):
        save_checkpoint(tmp_path, TENSORS, PROGRESS)


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(WeightsError, match="No such file"):
        load_checkpoint(path)
    with pytest.raises(WeightsError, match="Is a directory"):
        load_checkpoint(tmp_path)
    for protocol in (True, False):
        torch.save({"weight": torch.ones(2)}, path, _use_new_zipfile_serialization=protocol)
        with pytest.raises(WeightsError, match="file: a pickle, which could run any code"):
            load_checkpoint(path)
    save_file({"weight": torch.ones(2)}, path)
    with pytest.raises(WeightsError, match="but no checkpoint of a training run"):
        load_checkpoint(path)
    for damaged in ("", "{}", "[]", '{"parts": 1'):
        save_file({"weight": torch.ones(2)}, path, {"movinet_training": damaged})
        with pytest.raises(WeightsError, match="the checkpoint is damaged"):
            load_checkpoint(path)
    save_file({"weight": torch.ones(2)}, path, {"movinet": "{}"})
    with pytest.raises(WeightsError, match="finished weights"):
        load_checkpoint(path)


@pytest.mark.parametrize("beginning", [b"PK", b"\x80\x02"])
def test_a_header_as_long_as_a_pickle_begins(tmp_path: Path, beginning: bytes) -> None:
    path, length = tmp_path / "checkpoint", int.from_bytes(beginning, "little")
    save_checkpoint(path, TENSORS, {"fill": ""})
    begun = int.from_bytes(path.read_bytes()[:8], "little")
    save_checkpoint(path, TENSORS, {"fill": "x" * (length - begun)})
    assert path.read_bytes().startswith(beginning)
    assert load_checkpoint(path).tensors.keys() == TENSORS.keys()


def test_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    save_checkpoint(path, TENSORS, PROGRESS)
    content = path.read_bytes()
    for length in {*range(0, len(content), 7), len(content) - 1}:
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError, match="cut short"):
            load_checkpoint(path)


OPTIMIZERS: dict[str, Callable[[list[dict[str, object]]], Optimizer]] = {
    "AdamW": lambda groups: AdamW(groups, lr=0.1, amsgrad=True),
    "AdamW fused": lambda groups: AdamW(groups, lr=0.1, fused=True),
    "SGD": lambda groups: SGD(groups, lr=0.1, momentum=0.9, nesterov=True),
    "SGD without momentum": lambda groups: SGD(groups, lr=0.1),
    "RMSprop": lambda groups: RMSprop(groups, lr=0.1, momentum=0.9, centered=True),
    "Adafactor": lambda groups: Adafactor(groups, lr=0.1),
}


@given(data=st.data(), kind=st.sampled_from(sorted(OPTIMIZERS)), dtype=st.sampled_from([torch.float32, torch.bfloat16]))
@settings(max_examples=50)
def test_an_optimizer_goes_on_as_if_nothing_had_happened(data: st.DataObject, kind: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    shapes = data.draw(st.lists(st.sampled_from([(), (3,), (2, 3), (4, 3, 2, 2), (1, 1)]), min_size=1, max_size=4))
    frozen = data.draw(st.integers(-1, len(shapes) - 1))  # gets no gradients, so nothing is remembered of it
    steps = data.draw(st.integers(0, 3))

    def laid_out(value: Tensor) -> Tensor:
        return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value

    def train(parameters: dict[str, Parameter], optimizer: Optimizer, gradients: list[dict[str, Tensor]]) -> None:
        for step in gradients:
            for name, gradient in step.items():
                parameters[name].grad = laid_out(gradient.clone())
            optimizer.step()

    def build(values: Mapping[str, Tensor], order: list[str], split: int) -> tuple[dict[str, Parameter], Optimizer]:
        parameters = {name: Parameter(laid_out(value.detach().clone())) for name, value in values.items()}
        groups = [[parameters[name] for name in part] for part in (order[:split], order[split:])]
        return parameters, OPTIMIZERS[kind]([{"params": group} for group in groups if group])

    def draw() -> dict[str, Tensor]:
        return {f"layer/{n}.weight": torch.randn(s, generator=generator).to(dtype) for n, s in enumerate(shapes)}

    start = draw()
    gradients = [{k: v for k, v in draw().items() if k != f"layer/{frozen}.weight"} for _ in range(steps + 2)]
    names = sorted(start)
    parameters, optimizer = build(start, names, data.draw(st.integers(0, len(names))))
    train(parameters, optimizer, gradients[:steps])

    remembered = {key: value.clone().contiguous() for key, value in optimizer_tensors(optimizer, parameters).items()}
    order = data.draw(st.permutations(names))
    again, other = build(parameters, order, data.draw(st.integers(0, len(names))))
    restore_optimizer(other, again, remembered)
    for name, parameter in again.items():
        for what, value in other.state.get(parameter, {}).items():
            before = optimizer.state[parameters[name]][what]
            assert (value.dtype, value.device, value.stride()) == (before.dtype, before.device, before.stride())

    train(parameters, optimizer, gradients[steps:])
    train(again, other, gradients[steps:])
    for name, parameter in parameters.items():
        assert torch.equal(parameter, again[name])


def test_what_an_optimizer_remembered_is_forgotten() -> None:
    weight = Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    optimizer = AdamW([weight])
    optimizer.step()
    restore_optimizer(optimizer, {"weight": weight}, {})
    assert not optimizer_tensors(optimizer, {"weight": weight})


def test_an_optimizer_of_other_parameters() -> None:
    weight = Parameter(torch.ones(2, 3))
    optimizer = AdamW([weight])
    with pytest.raises(WeightsError, match=r"training other, which"):
        restore_optimizer(optimizer, {"weight": weight}, {"other/exp_avg": torch.ones(2, 3)})
    with pytest.raises(WeightsError, match=r"weight/exp_avg has shape \(3, 2\) in the checkpoint, \(2, 3\) here"):
        restore_optimizer(optimizer, {"weight": weight}, {"weight/exp_avg": torch.ones(3, 2)})


def test_an_optimizer_that_remembers_other_things() -> None:
    weight = Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    optimizer = torch.optim.LBFGS([weight])
    with suppress(RuntimeError):
        optimizer.step(lambda: weight.square().sum().item())
    with pytest.raises(TypeError, match="LBFGS remembers"):
        optimizer_tensors(optimizer, {"weight": weight})
