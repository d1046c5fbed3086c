"""Write test/fixtures/shape-inference.json: the shapes that ONNX and PyTorch give operators' results.

Every shape comes from onnx.shape_inference (strict) and from running the same operator in PyTorch; the two
must agree. A graph may leave `free` dimensions as names: the tests put names in their place, and the resulting
expressions must evaluate to the same sizes. A refused case is one that PyTorch refuses.
Last run: onnx 1.23.2, torch 2.13.0.

    python scripts/samples/make_shape_cases.py
"""

import json
from pathlib import Path

import onnx
import torch

from shape_authorities import ONLY_TORCH, ONNX_DTYPE, OPSET, TORCH, TORCH_DTYPE, onnx_result

TARGET = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "shape-inference.json"
END = 2**31 - 1


def case(op, *shapes, free=None, dtype="float32", **attributes):
    """Return one case, on which ONNX and PyTorch agree. `free`: names of dimensions, by input and axis."""
    shapes = [list(shape) for shape in shapes]
    made = TORCH[op]([torch.ones(s, dtype=TORCH_DTYPE[dtype]) for s in shapes], attributes)
    output, out_dtype = list(made.shape), next(k for k, v in TORCH_DTYPE.items() if v == made.dtype)
    if op not in ONLY_TORCH:
        elem_type, inferred = onnx_result(op, shapes, dtype, attributes)
        assert inferred == output, f"{op} {shapes} {attributes}: ONNX says {inferred}, PyTorch {output}"
        assert elem_type == ONNX_DTYPE[out_dtype], f"{op}: ONNX says dtype {elem_type}, PyTorch {out_dtype}"
    found = {"op": op, "dtype": dtype, "inputs": shapes, "attributes": attributes, "output": {"dtype": out_dtype, "shape": output}}
    if free is not None:
        sizes = {(name, shapes[index][axis]) for (index, axis), name in free.items()}
        assert len(sizes) == len({name for name, _ in sizes}), f"{op}: one name for two sizes: {sizes}"
        found["symbolic"] = [
            [free.get((index, axis), size) for axis, size in enumerate(shape)] for index, shape in enumerate(shapes)
        ]
    return found


def refused(op, *shapes, dtype="float32", **attributes):
    """Return one case that PyTorch refuses."""
    shapes = [list(shape) for shape in shapes]
    try:
        TORCH[op]([torch.ones(s, dtype=TORCH_DTYPE[dtype]) for s in shapes], attributes)
    except (RuntimeError, ValueError, IndexError):
        return {"op": op, "dtype": dtype, "inputs": shapes, "attributes": attributes}
    raise AssertionError(f"PyTorch does not refuse {op} {shapes} {attributes}")


def image(rank):
    """Return names for the batch and spatial dimensions of input 0 of this rank."""
    return {(0, 0): "N", **{(0, axis): "DHWUV"[axis - 2] for axis in range(2, rank)}}


def elementwise_cases():
    for op in ["exp", "log", "sin", "cos"]:
        yield case(op, (2, 3, 5, 7), free=image(4))
    for op in ["relu", "sigmoid", "sqrt", "silu", "identity", "tanh", "leakyRelu", "mish", "gelu", "softmax"]:
        yield case(op, (2, 3, 5, 7), free=image(4))
        yield case(op, (4,), free={(0, 0): "N"})
    yield case("relu", (2, 0, 3))
    yield case("leakyRelu", (2, 3), alpha=0.2, dtype="float64")
    yield case("gelu", (2, 3), approximate="tanh", dtype="float16", free={(0, 0): "N"})
    for axis in [0, 1, 2, -3]:
        yield case("softmax", (2, 3, 5), axis=axis, free={(0, 0): "N", (0, 1): "L"})
    yield case("clip", (2, 3), min=-1.0, free={(0, 0): "N"})
    yield case("clip", (2, 3), max=1.5)
    yield case("clip", (), min=0.0, max=6.0)
    yield case("where", (2, 3), (2, 3), (2, 3), free={(0, 0): "N", (1, 0): "N", (2, 0): "N"})
    yield case("where", (5, 1), (1, 7), (), free={(0, 0): "A", (1, 1): "B"})
    yield case("where", (), (4, 1, 3), (2, 1), dtype="int64")
    yield case("where", (2, 1, 1), (3,), (5, 1), free={(0, 0): "A", (2, 0): "B"})
    yield case("cast", (2, 3), to="float16", free={(0, 0): "N"})
    yield case("cast", (2, 3), to="int64")
    for op in ["add", "sub", "mul", "div"]:
        yield case(op, (2, 3, 5, 7), (2, 3, 5, 7), free={**image(4), (1, 0): "N", (1, 2): "D", (1, 3): "H"})
        yield case(op, (2, 3, 5, 7), (3, 1, 1), free=image(4))
    yield case("add", (5, 1), (1, 7), free={(0, 0): "A", (1, 1): "B"})
    yield case("add", (5, 4), (1, 4), free={(0, 0): "A", (1, 0): "B"})
    yield case("add", (1, 4), (5, 4), free={(0, 0): "A"})
    yield case("mul", (), (2, 3))
    yield case("mul", (2, 3), (1,), dtype="int64")
    yield case("sub", (4, 1, 6), (2, 1, 5, 1), dtype="float64")
    yield case("add", (0, 3), (1, 3))
    yield case("add", (0, 3), (0, 1))


def normalization_cases():
    for shape, groups in [((2, 6), 3), ((2, 6, 5), 2), ((2, 6, 5, 7), 1), ((1, 6, 3, 5, 2), 6)]:
        yield case("groupNormalization", shape, (6,), (6,), numGroups=groups, free=image(len(shape)))
    for shape in [(2, 6), (2, 6, 5), (2, 6, 5, 7), (2, 6, 3, 5, 2)]:
        yield case("batchNormalization", shape, (6,), (6,), (6,), (6,), free=image(len(shape)))
    for shape in [(2, 6, 5), (2, 6, 5, 7)]:
        yield case("instanceNormalization", shape, (6,), (6,), free=image(len(shape)))
    yield case("layerNormalization", (2, 6, 5), (5,), (5,), free={(0, 0): "N", (0, 1): "L"})
    yield case("layerNormalization", (2, 6, 5), (6, 5), (6, 5), axis=1, free={(0, 0): "N"})
    yield case("layerNormalization", (2, 6, 5), (6, 5), (6, 5), axis=-2)


def convolution_cases():
    for kernel, options in [
        (1, {}),
        (3, {"pads": [1, 1, 1, 1]}),
        (3, {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        (7, {"pads": [3, 3, 3, 3], "strides": [2, 2]}),
        (3, {"dilations": [2, 2], "pads": [2, 2, 2, 2]}),
        (3, {"dilations": [3, 2], "strides": [2, 3]}),
        (2, {"strides": [2, 2]}),
        (4, {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        (5, {"strides": [3, 3]}),
        (3, {"pads": [0, 1, 2, 3]}),
        (3, {"pads": [0, 1, 1, 0], "strides": [2, 2]}),
        (2, {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    ]:
        for size in [(17, 24), (16, 31)]:
            yield case("conv", (2, 3, *size), (8, 3, kernel, kernel), **options, free=image(4))
    yield case("conv", (2, 6, 9, 9), (8, 3, 3, 3), (8,), group=2, free=image(4))
    yield case("conv", (2, 6, 9, 9), (6, 1, 3, 3), (6,), group=6, strides=[1, 2])
    yield case("conv", (2, 3, 9, 5), (4, 3, 1, 5), free=image(4))
    yield case("conv", (2, 3, 20), (8, 3, 5), (8,), pads=[2, 2], strides=[4], free=image(3))
    yield case("conv", (2, 3, 20), (8, 3, 3), dilations=[4], free=image(3))
    yield case("conv", (1, 2, 7, 8, 9), (4, 2, 3, 3, 3), strides=[1, 2, 3], pads=[1, 0, 1, 1, 1, 0], free=image(5))
    yield case("conv", (1, 2, 7, 8, 9), (4, 1, 2, 3, 1), (4,), group=2, free=image(5))
    yield case("conv", (2, 3, 9), (1, 3, 3), (1,))
    yield case("conv", (0, 3, 8, 8), (4, 3, 3, 3))
    for kernel, options in [
        (2, {"strides": [2, 2]}),
        (3, {"strides": [2, 2], "pads": [1, 1, 1, 1], "outputPadding": [1, 1]}),
        (4, {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        (3, {"dilations": [2, 3], "strides": [3, 1]}),
        (3, {"dilations": [2, 2], "outputPadding": [1, 0]}),
        (1, {}),
    ]:
        yield case("convTranspose", (2, 6, 5, 8), (6, 4, kernel, kernel), **options, free=image(4))
    yield case("convTranspose", (2, 6, 5, 8), (6, 2, 3, 3), (4,), group=2, free=image(4))
    yield case("convTranspose", (2, 6, 5), (6, 2, 3), (2,), strides=[3], outputPadding=[2], free=image(3))
    yield case("convTranspose", (1, 2, 3, 4, 5), (2, 3, 2, 2, 2), strides=[2, 1, 2], free=image(5))


def pooling_cases():
    for size in [(8, 8), (7, 9), (15, 6)]:
        for ceil in [False, True]:
            yield case("maxPool", (2, 3, *size), kernelShape=[2, 2], strides=[2, 2], ceilMode=ceil, free=image(4))
            yield case("maxPool", (2, 3, *size), kernelShape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceilMode=ceil, free=image(4))
            yield case("maxPool", (2, 3, *size), kernelShape=[1, 2], strides=[3, 3], ceilMode=ceil, free=image(4))
    yield case("maxPool", (2, 3, 9, 9), kernelShape=[3, 3], free=image(4))
    yield case("maxPool", (2, 3, 9, 9), kernelShape=[2, 3], dilations=[3, 2], free=image(4))
    yield case("maxPool", (2, 3, 9, 9), kernelShape=[2, 3], dilations=[3, 2], strides=[4, 3], ceilMode=True, free=image(4))
    yield case("maxPool", (2, 3, 9, 8), kernelShape=[2, 3], pads=[0, 1, 1, 2], strides=[2, 2], free=image(4))
    yield case("maxPool", (2, 3, 10), kernelShape=[3], strides=[3], ceilMode=True, free=image(3))
    for size in [8, 9, 10]:
        yield case("maxPool", (2, 3, size), kernelShape=[3], strides=[2], ceilMode=True, free=image(3))
        yield case("maxPool", (2, 3, size), kernelShape=[3], ceilMode=True, free=image(3))
        yield case("maxPool", (2, 3, size), kernelShape=[3], strides=[3], dilations=[3], pads=[1, 1], ceilMode=True, free=image(3))
    yield case("maxPool", (2, 3, 2), kernelShape=[3], strides=[2], ceilMode=True)
    yield case("maxPool", (1, 2, 5, 6, 7), kernelShape=[2, 2, 2], strides=[2, 2, 2], free=image(5))
    for size in [(8, 8), (7, 9)]:
        for count in [False, True]:
            yield case("averagePool", (2, 3, *size), kernelShape=[2, 2], strides=[2, 2], countIncludePad=count, free=image(4))
            yield case("averagePool", (2, 3, *size), kernelShape=[3, 2], pads=[1, 0, 1, 0], countIncludePad=count, free=image(4))
    yield case("averagePool", (2, 3, 10), kernelShape=[3], strides=[2], pads=[0, 2], free=image(3))
    yield case("averagePool", (1, 2, 5, 6, 7), kernelShape=[2, 3, 1], strides=[2, 1, 3], free=image(5))
    for shape in [(2, 3, 9), (2, 3, 9, 7), (2, 3, 9, 7, 5)]:
        yield case("globalAveragePool", shape, free=image(len(shape)))


def linear_cases():
    yield case("matMul", (2, 3), (3, 5), free={(0, 0): "M", (1, 1): "N"})
    yield case("matMul", (2, 4, 3), (3, 5), free={(0, 0): "B", (0, 1): "M"})
    yield case("matMul", (2, 4, 3), (2, 3, 4), free={(0, 0): "B", (0, 1): "L", (1, 0): "B", (1, 2): "L"})
    yield case("matMul", (3, 4), (6, 1, 4, 2), free={(1, 0): "B"})
    yield case("matMul", (7, 1, 2, 3), (5, 3, 4), free={(0, 0): "A", (1, 0): "B"})
    yield case("matMul", (3,), (3, 5), free={(1, 1): "N"})
    yield case("matMul", (2, 4, 3), (3,), free={(0, 0): "B"})
    yield case("matMul", (3,), (2, 3, 5), free={(1, 0): "B"})
    yield case("matMul", (3,), (3,))
    yield case("matMul", (2, 3), (3, 5), dtype="int64")
    yield case("matMul", (0, 2, 3), (3, 5), dtype="float64")
    yield case("gemm", (2, 3), (3, 5), free={(0, 0): "N"})
    yield case("gemm", (2, 3), (5, 3), (5,), transB=True, free={(0, 0): "N"})
    yield case("gemm", (3, 2), (3, 5), (1, 5), transA=True, free={(0, 1): "N"})
    yield case("gemm", (3, 2), (5, 3), (2, 5), transA=True, transB=True, alpha=0.5, beta=2.0)
    yield case("gemm", (2, 3), (3, 5), (2, 1), free={(1, 1): "M"})
    yield case("gemm", (2, 3), (3, 5), ())
    yield case("gemm", (0, 3), (3, 5))
    yield case("flatten", (2, 3, 4, 5), free=image(4))
    for axis in [0, 2, 4, -1, -4]:
        yield case("flatten", (2, 3, 4, 5), axis=axis, free=image(4))
    yield case("flatten", (6,), axis=0)
    yield case("flatten", (6,), free={(0, 0): "N"})
    yield case("flatten", (), axis=0)


def shape_cases():
    yield case("concat", (2, 3, 5), (2, 4, 5), axis=1, free={(0, 0): "N", (1, 0): "N", (0, 2): "L", (1, 2): "L"})
    yield case("concat", (2, 3, 5), (2, 3, 1), (2, 3, 7), axis=-1, free={(0, 2): "A", (1, 2): "B", (2, 2): "C"})
    yield case("concat", (2, 3, 5), (2, 3, 5), (2, 3, 1), axis=2, free={(0, 2): "A", (1, 2): "A"})
    yield case("concat", (2, 3, 5), axis=0, free={(0, 0): "N"})
    yield case("concat", (3,), (0,), (1,), axis=0, dtype="int64")
    yield case("concat", (5, 2), (4, 2), axis=-2, free={(0, 0): "A"})
    for target in [[0, 8, -1], [-1, 4], [0, 0, 0, 0], [0, -1], [4, -1, 6], [0, 2, 4, 0, -1], [1, 0, 2, 30]]:
        yield case("reshape", (2, 8, 5, 6), target=target, free=image(4) if target[0] != 1 and target[0] != 4 else None)
    yield case("reshape", (6,), target=[0, 1, 1], free={(0, 0): "C"})
    yield case("reshape", (), target=[1, -1])
    yield case("reshape", (1,), target=[])
    yield case("reshape", (0, 4), target=[0, 2, 2])
    yield case("reshape", (3, 0), target=[3, -1])
    yield case("reshape", (2, 12), target=[-1, 3], dtype="int64", free={(0, 0): "N"})
    yield case("expand", (3, 1), target=[3, 4], free={(0, 0): "N"})
    yield case("expand", (3, 1), target=[2, 1, 6], free={(0, 0): "N"})
    yield case("expand", (3, 4), target=[1, 1], free={(0, 0): "A", (0, 1): "B"})
    yield case("expand", (1,), target=[5], dtype="int64")
    yield case("expand", (), target=[2, 0])
    yield case("expand", (2, 3), target=[])
    yield case("transpose", (2, 3, 5), perm=[0, 2, 1], free={(0, 0): "N", (0, 2): "L"})
    yield case("transpose", (2, 3, 5, 7), perm=[0, 2, 3, 1], free=image(4))
    yield case("transpose", (2, 3, 5, 7), free=image(4))
    yield case("transpose", (4,), dtype="int64")
    yield case("transpose", ())
    for pads in [[0, 0, 1, 2, 0, 0, 3, 4], [0] * 8, [1, 2, 0, 0, 0, 1, 0, 0]]:
        yield case("pad", (2, 3, 5, 7), pads=pads, free=image(4))
    for mode in ["reflect", "edge"]:
        yield case("pad", (2, 3, 5, 7), pads=[0, 0, 1, 2, 0, 0, 3, 4], mode=mode, free=image(4))
        yield case("pad", (2, 3, 5), pads=[0, 0, 4, 0, 0, 2], mode=mode, free=image(3))
    yield case("pad", (4,), pads=[1, 0], value=-1.5, free={(0, 0): "N"})
    yield case("pad", (0, 3), pads=[1, 0, 1, 0])
    for part in [0, 1, 2]:
        yield case("split", (2, 9, 5), axis=1, sizes=[2, 3, 4], part=part, free={(0, 0): "N", (0, 2): "L"})
    yield case("split", (6, 2), axis=-2, sizes=[3, 3], part=1, free={(0, 0): "N"})
    yield case("split", (6,), axis=0, sizes=[6], part=0, dtype="int64")
    yield case("split", (4, 2), axis=0, sizes=[0, 4], part=0)
    yield case("squeeze", (2, 1, 5, 1), axes=[1], free={(0, 0): "N", (0, 2): "L"})
    yield case("squeeze", (2, 1, 5, 1), axes=[-1, 1], free={(0, 0): "N", (0, 1): "A"})
    yield case("squeeze", (1,), axes=[0], dtype="int64")
    yield case("unsqueeze", (2, 5), axes=[0], free={(0, 0): "N", (0, 1): "L"})
    yield case("unsqueeze", (2, 5), axes=[-1, 1], free={(0, 0): "N", (0, 1): "L"})
    yield case("unsqueeze", (2, 5), axes=[3, 0, 2], free={(0, 0): "N"})
    yield case("unsqueeze", (), axes=[0], dtype="int64")
    for shape in [(2, 3, 4), (7,), ()]:
        yield case("shape", shape, free={(0, 0): "N"} if shape else None)
    ends = [5, 9, 10, 99, END, 2**53 - 1, 0, -1, -3, -9, -10, -99]
    for start in [0, 2, 9, 10, 99, -1, -4, -10, -99]:
        for end in ends:
            yield case("slice", (10,), starts=[start], ends=[end], axes=[0], free={(0, 0): "N"})
    yield case("slice", (4, 5, 6), starts=[1, -2], ends=[END, END], axes=[0, -1], free={(0, 0): "A", (0, 2): "B"})
    yield case("slice", (4, 5, 6), starts=[1], ends=[3], axes=[1])
    yield case("slice", (4,), starts=[2], ends=[4], axes=[0], dtype="int64")
    yield case("slice", (0, 3), starts=[0], ends=[2], axes=[0])
    yield case("gather", (4, 3), (2,), dtype="int64", free={(0, 0): "A", (1, 0): "N"})
    yield case("gather", (4, 3, 5), (2, 6), axis=1, dtype="int64", free={(0, 0): "A", (1, 0): "N"})
    yield case("gather", (4, 3, 5), (), axis=-1, dtype="int64", free={(0, 0): "N"})


def resize_cases():
    for scales in [[2, 2], [4, 3], [0.5, 0.5], [1.5, 2.5], [1, 2]]:
        for size in [(10, 7), (20, 13)]:
            yield case("resize", (2, 3, *size), scales=[1.0, 1.0, *map(float, scales)], free=image(4))
    yield case("resize", (2, 3, 11, 9), scales=[1.0, 1.0, 0.7, 1.1], free=image(4))
    yield case("resize", (2, 3, 9), scales=[1.0, 1.0, 2.0], free=image(3))
    yield case("resize", (2, 3, 2, 4, 6), scales=[1.0, 1.0, 2.0, 2.0, 0.25], free=image(5))
    yield case("resize", (2, 3, 5, 5), sizes=[2, 3, 11, 4])
    yield case("resize", (2, 3, 5), sizes=[2, 3, 1])


def reduction_cases():
    for op in ["reduceMean", "reduceProd"]:
        for axes in [[2], [-1], [1, 2], [2, -2], [0, 1, 2]]:
            for keep in [True, False]:
                yield case(op, (2, 3, 5), axes=axes, keepdims=keep, free={(0, 0): "N", (0, 2): "L"})
        yield case(op, (2, 3), axes=[1])
    yield case("reduceProd", (4,), axes=[0], dtype="int64")
    yield case("reduceProd", (4,), axes=[0], keepdims=False, dtype="int64")


def refused_cases():
    yield refused("add", (2, 3), (2, 4))
    yield refused("mul", (2, 3), (3, 2))
    yield refused("conv", (1, 4, 8, 8), (6, 3, 3, 3))
    yield refused("conv", (1, 4, 8, 8), (6, 2, 3, 3), group=3)
    yield refused("conv", (1, 4, 8, 8), (5, 2, 3, 3), group=2)
    yield refused("conv", (1, 4, 8, 8), (6, 4, 9, 9))
    yield refused("conv", (1, 4, 8, 8), (6, 4, 5, 5), dilations=[2, 2])
    yield refused("conv", (1, 4, 8, 8), (6, 4, 3, 3), (5,))
    yield refused("conv", (1, 4, 8, 8), (6, 4, 3, 3), strides=[0, 0])
    yield refused("conv", (1, 4, 8, 8), (6, 4, 3, 3), dilations=[0, 1])
    yield refused("conv", (1, 4, 8, 8), (6, 4, 3))
    yield refused("convTranspose", (1, 4, 8, 8), (5, 4, 3, 3))
    yield refused("convTranspose", (1, 4, 8, 8), (4, 4, 3, 3), outputPadding=[1, 1])
    yield refused("convTranspose", (1, 4, 1, 1), (4, 4, 2, 2), pads=[1, 1, 1, 1])
    yield refused("convTranspose", (1, 4, 8, 8), (4, 2, 3, 3), (3,), group=2)
    yield refused("maxPool", (1, 4, 2, 2), kernelShape=[3, 3])
    yield refused("maxPool", (1, 4, 8, 8), kernelShape=[2, 2], pads=[2, 2, 2, 2])
    yield refused("maxPool", (1, 4, 8, 8), kernelShape=[2, 2], strides=[0, 0])
    yield refused("gemm", (2, 3), (4, 5))
    yield refused("gemm", (2, 3), (3, 5), (3,))
    yield refused("gemm", (2, 3), (3, 5), (1, 1, 5))
    yield refused("concat", (2, 3), (2, 4), axis=0)
    yield refused("concat", (2, 3), (2, 3, 1), axis=0)
    yield refused("concat", (2, 3), axis=2)
    yield refused("reshape", (2, 3), target=[4])
    yield refused("reshape", (2, 3), target=[-1, -1])
    yield refused("reshape", (2, 3), target=[-1, 4])
    yield refused("reshape", (2, 3), target=[-2, 3])
    yield refused("reshape", (2, 3), target=[2, 3, 0])
    yield refused("reshape", (0, 3), target=[0, -1])
    yield refused("expand", (2, 3), target=[4, 3])
    yield refused("expand", (2, 3), target=[2, -1])
    yield refused("resize", (1, 1, 1, 1), scales=[1.0, 1.0, 0.5, 0.5])
    yield refused("reduceMean", (2, 3), axes=[2])
    yield refused("reduceMean", (2, 3), axes=[1, -1])
    yield refused("groupNormalization", (2, 6, 4), (6,), (6,), numGroups=4)
    yield refused("groupNormalization", (2, 6, 4), (3,), (6,), numGroups=3)
    yield refused("layerNormalization", (2, 3), (2,), (2,))
    yield refused("matMul", (2, 3), (4, 5))
    yield refused("matMul", (2, 4, 3), (5, 3, 4))
    yield refused("matMul", (3,), (2, 3))
    yield refused("matMul", (), (2, 3))
    yield refused("transpose", (2, 3), perm=[0, 0])
    yield refused("transpose", (2, 3), perm=[0])
    yield refused("transpose", (2, 3), perm=[0, 2])
    yield refused("softmax", (2, 3), axis=2)
    yield refused("where", (2, 3), (4,), ())
    yield refused("where", (2,), (3,), (2,))
    yield refused("averagePool", (1, 4, 2, 2), kernelShape=[3, 3])
    yield refused("averagePool", (1, 4, 8, 8), kernelShape=[2, 2], pads=[2, 2, 2, 2])
    yield refused("pad", (1, 3, 4, 4), pads=[0, 0, 4, 0, 0, 0, 0, 0], mode="reflect")
    yield refused("pad", (1, 3, 4), pads=[0, 0, 0, 0, 0, 5], mode="reflect")
    yield refused("split", (5, 2), axis=0, sizes=[2, 2], part=0)
    yield refused("split", (5, 2), axis=2, sizes=[2, 3], part=0)
    yield refused("split", (5, 2), axis=0, sizes=[6, -1], part=0)
    yield refused("squeeze", (2, 3), axes=[0])
    yield refused("unsqueeze", (2, 3), axes=[1, 1])
    yield refused("gelu", (2, 3), approximate="erf")


def lines(items):
    return ",\n".join("    " + json.dumps(item) for item in items)


def main():
    families = [
        elementwise_cases, normalization_cases, convolution_cases, pooling_cases,
        linear_cases, shape_cases, resize_cases, reduction_cases,
    ]
    cases = [found for family in families for found in family()]
    bad = list(refused_cases())
    header = f'  "authorities": "onnx {onnx.__version__} shape_inference, opset {OPSET}; torch {torch.__version__}"'
    TARGET.write_text(f'{{\n{header},\n  "cases": [\n{lines(cases)}\n  ],\n  "refused": [\n{lines(bad)}\n  ]\n}}\n')
    print(f"{TARGET}: {len(cases)} cases, {len(bad)} refused")


if __name__ == "__main__":
    main()
