"""An ML program, as coremltools makes it, run by PyTorch: Core ML itself exists on Apple's machines only.

What the operations mean is from coremltools' definitions (converters/mil/mil/ops/defs); those networks use are here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from movinet.deploy.run_file import Arrays, Run

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "int32": torch.int32}


def run_package(package: Path) -> Run:
    """The main function of a package's program, as its file says: inputs by name to outputs by name."""
    import coremltools
    from coremltools.converters.mil.frontend.milproto.load import load

    said = coremltools.utils.load_spec(str(package))
    weights = str(package / "Data/com.apple.CoreML/weights")
    main = load(said, said.specificationVersion, file_weights_dir=weights).functions["main"]

    def run(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        values: dict[str, Tensor] = {name: torch.from_numpy(value) for name, value in inputs.items()}
        for operation in main.operations:
            if operation.op_type != "const":
                results = _compute(operation.op_type, {k: _value(v, values) for k, v in operation.inputs.items()})
                values |= {out.name: y for out, y in zip(operation.outputs, results, strict=True)}
        return {out.name: values[out.name].numpy() for out in main.outputs}

    return run


def _value(variable: Any, values: Mapping[str, Tensor]) -> Any:
    """What an input of an operation is: a tensor made before, or a constant (tensors if they have axes)."""
    if isinstance(variable, list | tuple):
        return [_value(one, values) for one in variable]
    if variable is None or variable.name in values:
        return None if variable is None else values[variable.name]
    constant = variable.val
    if isinstance(constant, np.ndarray) and constant.dtype.kind in "fi":
        return torch.from_numpy(constant)
    return constant


def _compute(kind: str, given: Mapping[str, Any]) -> tuple[Tensor, ...]:
    x: Any = given.get("x")
    match kind:
        case "add":
            return (x + given["y"],)
        case "sub":
            return (x - given["y"],)
        case "mul":
            return (x * given["y"],)
        case "minimum":
            return (torch.minimum(x, torch.as_tensor(given["y"])),)
        case "real_div":
            return (x / given["y"],)
        case "relu":
            return (F.relu(x),)
        case "relu6":
            return (F.relu6(x),)
        case "sigmoid":
            return (torch.sigmoid(x),)
        case "silu":
            return (F.silu(x),)
        case "clip":
            return (x.clamp(float(given["alpha"]), float(given["beta"])),)
        case "sigmoid_hard":
            return ((x * float(given["alpha"]) + float(given["beta"])).clamp(0, 1),)
        case "thresholded_relu":
            return (torch.where(x >= float(given["alpha"]), x, 0),)
        case "cast":
            return (x.to(_DTYPES[given["dtype"]]),)
        case "expand_dims":
            for axis in sorted(given["axes"].tolist()):
                x = x.unsqueeze(axis)
            return (x,)
        case "squeeze":
            return (x.squeeze(given["axes"].tolist()),)
        case "concat":
            return (torch.cat(given["values"], int(given["axis"])),)
        case "split":
            axis = int(given["axis"])
            if given.get("split_sizes") is not None:
                return x.split(given["split_sizes"].tolist(), axis)
            return x.chunk(int(given["num_splits"]), axis)
        case "slice_by_index":
            return (x[_slices(given, x.ndim)],)
        case "batch_norm":
            statistics = (given["mean"], given["variance"], given["gamma"], given["beta"])
            return (F.batch_norm(x, *statistics, eps=float(given["epsilon"])),)
        case "reduce_mean":
            return (x.mean(given["axes"].tolist(), keepdim=bool(given["keep_dims"])),)
        case "gather":
            return (x[given["indices"].long()],)
        case "constexpr_affine_dequantize":
            levels, axis = given["quantized_data"], int(given["axis"])
            shape = [-1 if i == axis else 1 for i in range(levels.ndim)]
            scale, zero = (torch.as_tensor(given[name]).float().view(shape) for name in ("scale", "zero_point"))
            return ((levels.float() - zero) * scale,)
        case "linear":
            return (F.linear(x, given["weight"], given.get("bias")),)
        case "conv":
            if given["pad_type"] != "valid":
                top, bottom, left, right = given["pad"].tolist()
                x = F.pad(x, (left, right, top, bottom))
            strides, groups = given["strides"].tolist(), int(given["groups"])
            return (F.conv2d(x, given["weight"], given.get("bias"), strides, groups=groups),)
        case "avg_pool":
            return (_average(x, given),)
    raise NotImplementedError(f"the ML program has an operation we do not know: {kind}")


def _slices(given: Mapping[str, Any], axes: int) -> tuple[int | slice, ...]:
    if given.get("stride") is not None and (given["stride"] != 1).any():
        raise NotImplementedError("the ML program leaves something out of a slice, which we do not know")

    def mask(name: str) -> list[bool]:
        found = given.get(name)
        return [False] * axes if found is None else [bool(one) for one in found]

    begins, ends = given["begin"].tolist(), given["end"].tolist()
    every = zip(begins, ends, mask("begin_mask"), mask("end_mask"), mask("squeeze_mask"), strict=True)
    return tuple(
        begin if squeeze else slice(None if from_first else begin, None if to_last else end)
        for begin, end, from_first, to_last, squeeze in every
    )


def _average(x: Tensor, given: Mapping[str, Any]) -> Tensor:
    top, bottom, left, right = (0, 0, 0, 0) if given["pad_type"] == "valid" else given["pad"].tolist()
    if (top, left) != (bottom, right) or not given["exclude_padding_from_average"]:
        raise NotImplementedError("the ML program has an average over padding, which we do not know")
    sizes, strides = given["kernel_sizes"].tolist(), given["strides"].tolist()
    return F.avg_pool2d(x, sizes, strides, (top, left), bool(given["ceil_mode"]), count_include_pad=False)
