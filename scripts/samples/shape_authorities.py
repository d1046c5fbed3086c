"""Ask ONNX's shape inference and PyTorch for the result of one operator."""

import re

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper

OPSET = onnx.defs.onnx_opset_version()

TORCH_DTYPE = {"float32": torch.float32, "float16": torch.float16, "float64": torch.float64, "int64": torch.int64}
ONNX_DTYPE = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "float64": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}

# Attributes that are inputs in ONNX, in their order, and the element type of those inputs.
AS_INPUTS = {
    "slice": [("starts", np.int64), ("ends", np.int64), ("axes", np.int64)],
    "resize": [("roi", np.float32), ("scales", np.float32), ("sizes", np.int64)],
    "reduceMean": [("axes", np.int64)],
    "reduceProd": [("axes", np.int64)],
    "reshape": [("target", np.int64)],
    "expand": [("target", np.int64)],
    "pad": [("pads", np.int64), ("value", np.float32)],
    "clip": [("min", np.float32), ("max", np.float32)],
    "split": [("sizes", np.int64)],
    "squeeze": [("axes", np.int64)],
    "unsqueeze": [("axes", np.int64)],
}

# Inputs whose dtype differs from that of the others.
INPUT_DTYPE = {"where": {0: "bool"}}

# ONNX has no answer for these: SiLU is not an operator, and it infers no shape for GroupNormalization.
ONLY_TORCH = {"silu", "groupNormalization"}


# The operators in PyTorch: tensors `x`, and attributes `a` under the names of the TypeScript options.


def padded(x, a):
    """Return the input padded by ONNX's `pads`, which may differ between the two ends."""
    pads = a.get("pads")
    if not pads:
        return x
    half = len(pads) // 2
    pairs = [(pads[i], pads[i + half]) for i in range(half)]
    return F.pad(x, [p for pair in reversed(pairs) for p in pair])


def conv(x, a):
    run = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[x[0].ndim]
    bias = x[2] if len(x) > 2 else None
    ones = [1] * (x[0].ndim - 2)
    return run(padded(x[0], a), x[1], bias, a.get("strides", ones), 0, a.get("dilations", ones), a.get("group", 1))


def conv_transpose(x, a):
    run = {3: F.conv_transpose1d, 4: F.conv_transpose2d, 5: F.conv_transpose3d}[x[0].ndim]
    n = x[0].ndim - 2
    pads = a.get("pads", [0] * 2 * n)
    assert pads[:n] == pads[n:], "PyTorch has symmetric padding only"
    bias = x[2] if len(x) > 2 else None
    ones = [1] * n
    padding = a.get("outputPadding", [0] * n)
    return run(x[0], x[1], bias, a.get("strides", ones), pads[:n], padding, a.get("group", 1), a.get("dilations", ones))


def max_pool(x, a):
    run = {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}[x[0].ndim]
    n = x[0].ndim - 2
    pads = a.get("pads", [0] * 2 * n)
    ceil = a.get("ceilMode", False)
    symmetric = pads[:n] == pads[n:]
    assert symmetric or not ceil, "PyTorch's ceil_mode has symmetric padding only"
    image, padding = (x[0], pads[:n]) if symmetric else (padded(x[0], a), 0)
    ones = [1] * n
    return run(image, a["kernelShape"], a.get("strides", ones), padding, a.get("dilations", ones), ceil)


def average_pool(x, a):
    run = {3: F.avg_pool1d, 4: F.avg_pool2d, 5: F.avg_pool3d}[x[0].ndim]
    n = x[0].ndim - 2
    pads = a.get("pads", [0] * 2 * n)
    symmetric = pads[:n] == pads[n:]
    image, padding = (x[0], pads[:n]) if symmetric else (padded(x[0], a), [0] * n)
    count = bool(a.get("countIncludePad", False))
    return run(image, a["kernelShape"], a.get("strides", [1] * n), padding, False, count)


def pad(x, a):
    """Pad with ONNX's `pads` in PyTorch's order, which begins with the last dimension."""
    n = x[0].ndim
    pairs = [(a["pads"][i], a["pads"][i + n]) for i in range(n)]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[a.get("mode", "constant")]
    while mode != "constant" and pairs and pairs[0] == (0, 0) and len(pairs) > n - 2:
        pairs = pairs[1:]  # PyTorch takes no pads for batch and channels here
    flat = [p for pair in reversed(pairs) for p in pair]
    return F.pad(x[0], flat, mode, **({"value": a.get("value", 0.0)} if mode == "constant" else {}))


def squeeze(x, a):
    result = x[0]
    for axis in sorted((axis % x[0].ndim for axis in a["axes"]), reverse=True):
        if result.shape[axis] != 1:
            raise ValueError(f"axis {axis} of {list(x[0].shape)} is not 1; PyTorch leaves it, ONNX refuses it")
        result = result.squeeze(axis)
    return result


def unsqueeze(x, a):
    rank = x[0].ndim + len(a["axes"])
    axes = sorted(axis % rank for axis in a["axes"])
    if len(set(axes)) < len(axes):
        raise ValueError("an axis twice")
    result = x[0]
    for axis in axes:
        result = result.unsqueeze(axis)
    return result


def gemm(x, a):
    left = x[0].T if a.get("transA") else x[0]
    right = x[1].T if a.get("transB") else x[1]
    product = left @ right
    return product if len(x) < 3 else product + x[2].expand(product.shape)


def slice_(x, a):
    index = [slice(None)] * x[0].ndim
    for start, end, axis in zip(a["starts"], a["ends"], a["axes"]):
        index[axis] = slice(start, end)
    return x[0][tuple(index)]


def resize(x, a):
    """Upsample the spatial dimensions."""
    if "sizes" in a:
        return F.interpolate(x[0], size=a["sizes"][2:])
    return F.interpolate(x[0], scale_factor=a["scales"][2:])


def reshape(x, a):
    return x[0].reshape([x[0].shape[i] if size == 0 else size for i, size in enumerate(a["target"])])


def flatten(x, a):
    axis = a.get("axis", 1)
    axis = axis + x[0].ndim if axis < 0 else axis
    rows = int(np.prod(x[0].shape[:axis], dtype=np.int64))
    return x[0].reshape(rows, x[0].numel() // rows)


def reduce_prod(x, a):
    result, keep = x[0], a.get("keepdims", True)
    for axis in sorted((axis % x[0].ndim for axis in a["axes"]), reverse=True):
        result = result.prod(axis, keepdim=keep)
    return result


TORCH = {
    "relu": lambda x, a: torch.relu(x[0]),
    "sigmoid": lambda x, a: torch.sigmoid(x[0]),
    "sqrt": lambda x, a: torch.sqrt(x[0]),
    "exp": lambda x, a: torch.exp(x[0]),
    "log": lambda x, a: torch.log(x[0]),
    "sin": lambda x, a: torch.sin(x[0]),
    "cos": lambda x, a: torch.cos(x[0]),
    "tanh": lambda x, a: torch.tanh(x[0]),
    "leakyRelu": lambda x, a: F.leaky_relu(x[0], a.get("alpha", 0.01)),
    "gelu": lambda x, a: F.gelu(x[0], approximate=a.get("approximate", "none")),
    "softmax": lambda x, a: torch.softmax(x[0], a.get("axis", -1)),
    "clip": lambda x, a: torch.clamp(x[0], a.get("min"), a.get("max")),
    "where": lambda x, a: torch.where(x[0].bool(), x[1], x[2]),
    "silu": lambda x, a: F.silu(x[0]),
    "mish": lambda x, a: F.mish(x[0]),
    "identity": lambda x, a: x[0],
    "cast": lambda x, a: x[0].to(TORCH_DTYPE[a["to"]]),
    "add": lambda x, a: x[0] + x[1],
    "sub": lambda x, a: x[0] - x[1],
    "mul": lambda x, a: x[0] * x[1],
    "div": lambda x, a: x[0] / x[1],
    "groupNormalization": lambda x, a: F.group_norm(x[0], a["numGroups"], x[1], x[2]),
    "batchNormalization": lambda x, a: F.batch_norm(x[0], x[3], x[4], x[1], x[2]),
    "instanceNormalization": lambda x, a: F.instance_norm(x[0], weight=x[1], bias=x[2]),
    "layerNormalization": lambda x, a: F.layer_norm(x[0], x[0].shape[a.get("axis", -1):], x[1], x[2]),
    "conv": conv,
    "convTranspose": conv_transpose,
    "maxPool": max_pool,
    "averagePool": average_pool,
    "globalAveragePool": lambda x, a: x[0].mean(list(range(2, x[0].ndim)), keepdim=True),
    "gemm": gemm,
    "matMul": lambda x, a: torch.matmul(x[0], x[1]),
    "flatten": flatten,
    "concat": lambda x, a: torch.cat(x, a["axis"]),
    "reshape": reshape,
    "expand": lambda x, a: x[0] * torch.ones(a["target"], dtype=x[0].dtype),
    "shape": lambda x, a: torch.tensor(x[0].shape, dtype=torch.int64),
    "slice": slice_,
    "gather": lambda x, a: x[0][(slice(None),) * (a.get("axis", 0) % x[0].ndim) + (x[1],)],
    "pad": pad,
    "transpose": lambda x, a: x[0].permute(a["perm"] if "perm" in a else list(reversed(range(x[0].ndim)))),
    "split": lambda x, a: torch.split(x[0], a["sizes"], a["axis"])[a["part"]],
    "squeeze": squeeze,
    "unsqueeze": unsqueeze,
    "resize": resize,
    "reduceMean": lambda x, a: x[0].mean(a["axes"], a.get("keepdims", True)),
    "reduceProd": reduce_prod,
}


def onnx_result(op, shapes, dtype, attributes):
    """Return the (dtype, shape) that ONNX infers."""
    op_type = op[0].upper() + op[1:]
    names = [f"x{i}" for i in range(len(shapes))]
    dtypes = [INPUT_DTYPE.get(op, {}).get(i, dtype) for i in range(len(shapes))]
    inputs = [helper.make_tensor_value_info(n, ONNX_DTYPE[d], s) for n, d, s in zip(names, dtypes, shapes)]
    initializers, rest = [], dict(attributes)
    # The result that the case checks is called y.
    part = rest.pop("part", 0)
    outputs = ["y" if i == part else f"y{i}" for i in range(len(attributes["sizes"]) if op == "split" else 1)]
    for name, element in AS_INPUTS.get(op, []):
        values = rest.pop(name, None)
        names.append(name if values is not None else "")
        if values is not None:
            initializers.append(onnx.numpy_helper.from_array(np.array(values, element), name))
    if op == "cast":
        rest["to"] = ONNX_DTYPE[rest["to"]]
    snake = {k if k.startswith("trans") else re.sub("([A-Z])", r"_\1", k).lower(): v for k, v in rest.items()}
    node = helper.make_node(op_type, names, outputs, **{k: int(v) if isinstance(v, bool) else v for k, v in snake.items()})
    graph = helper.make_graph([node], "case", inputs, [helper.make_empty_tensor_value_info("y")], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    result = inferred.graph.output[0].type.tensor_type
    return result.elem_type, [d.dim_value if d.HasField("dim_value") else None for d in result.shape.dim]
