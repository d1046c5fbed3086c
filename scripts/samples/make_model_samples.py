"""Write the ONNX samples of test/samples with the onnx package, and check them with it.

    python scripts/samples/make_model_samples.py

The same version gives the same bytes. Last run: onnx 1.23.2, onnxruntime 1.32.0.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, inliner, numpy_helper

FILES = Path(__file__).resolve().parents[2] / "test" / "samples"
DOMAIN = "test.functions"


def function_with_newer_fields() -> onnx.FunctionProto:
    """Return Y = alpha * X, alpha 2 by default, with the fields that ONNX added after 1.10."""
    constant = helper.make_node("Constant", [], ["alpha"])
    reference = constant.attribute.add(name="value_float", type=onnx.AttributeProto.FLOAT)
    reference.ref_attr_name = "alpha"
    multiply = helper.make_node("Mul", ["X", "alpha"], ["Y"])
    multiply.metadata_props.add(key="node", value="in a function")
    function = helper.make_function(
        DOMAIN,
        "Scale",
        ["X"],
        ["Y"],
        [constant, multiply],
        [helper.make_opsetid("", 21)],
        attribute_protos=[helper.make_attribute("alpha", 2.0)],
        overload="float",
        value_info=[helper.make_tensor_value_info("alpha", TensorProto.FLOAT, [])],
    )
    function.metadata_props.add(key="function", value="of a newer ONNX")
    return function


def local_function_model() -> onnx.ModelProto:
    """Return y = Scale(GroupNormalization(x)): 4 channels in 2 groups, scale 1 to 4, bias 0."""
    norm = helper.make_node(
        "GroupNormalization", ["x", "scale", "bias"], ["h"], name="norm", num_groups=2
    )
    norm.metadata_props.add(key="node", value="that is rewritten")
    call = helper.make_node("Scale", ["h"], ["y"], name="call", domain=DOMAIN, overload="float")
    call.metadata_props.add(key="node", value="that stays")
    graph = helper.make_graph(
        [norm, call],
        "sample",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4, 3])],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [4], [1.0, 2.0, 3.0, 4.0]),
            helper.make_tensor("bias", TensorProto.FLOAT, [4], [0.0] * 4),
            # A dtype of IR version 10, in an initializer that no node reads.
            helper.make_tensor("int4", TensorProto.INT4, [3], [1, -2, 7]),
        ],
    )
    graph.metadata_props.add(key="graph", value="of a newer ONNX")
    graph.input[0].metadata_props.add(key="input", value="of a newer ONNX")
    model = helper.make_model(
        graph,
        functions=[function_with_newer_fields()],
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid(DOMAIN, 1)],
        ir_version=10,
    )
    model.configuration.add(name="two devices", num_devices=2)
    return model


def torchscript_group_norm_model() -> onnx.ModelProto:
    """Return GroupNorm(2, 4) and ReLU with the nodes of torch.onnx.export(dynamo=False, opset_version=17)."""

    def constant(name: str, array: np.ndarray) -> onnx.NodeProto:
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))

    nodes = [
        constant("/gn/Constant_output_0", np.array([0, 2, -1], np.int64)),
        helper.make_node("Reshape", ["x", "/gn/Constant_output_0"], ["/gn/Reshape_output_0"], allowzero=0),
        constant("/gn/Constant_1_output_0", np.ones(2, np.float32)),
        constant("/gn/Constant_2_output_0", np.zeros(2, np.float32)),
        helper.make_node(
            "InstanceNormalization",
            ["/gn/Reshape_output_0", "/gn/Constant_1_output_0", "/gn/Constant_2_output_0"],
            ["/gn/InstanceNormalization_output_0"],
            epsilon=1e-5,
        ),
        helper.make_node("Shape", ["x"], ["/gn/Shape_output_0"]),
        helper.make_node(
            "Reshape",
            ["/gn/InstanceNormalization_output_0", "/gn/Shape_output_0"],
            ["/gn/Reshape_1_output_0"],
            allowzero=0,
        ),
        helper.make_node("Mul", ["/gn/Reshape_1_output_0", "onnx::Mul_17"], ["/gn/Mul_output_0"]),
        helper.make_node("Add", ["/gn/Mul_output_0", "onnx::Add_18"], ["/gn/Add_output_0"]),
        helper.make_node("Relu", ["/gn/Add_output_0"], ["y"]),
    ]
    shape = ["n", 4, "h", "w"]
    graph = helper.make_graph(
        nodes,
        "main_graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, "Reluy_dim_2", "Reluy_dim_3"])],
        [
            numpy_helper.from_array(np.arange(1, 5, dtype=np.float32).reshape(4, 1, 1), "onnx::Mul_17"),
            numpy_helper.from_array(np.full((4, 1, 1), -1, np.float32), "onnx::Add_18"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def value_types_model() -> onnx.ModelProto:
    """Return operators that networks have around normalizations, with the types that ONNX infers."""
    node = helper.make_node
    numbers = {
        "w": np.zeros((6, 2, 3, 3), np.float32),
        "wt": np.zeros((4, 3, 2, 2), np.float32),
        "w8": np.zeros((6, 4, 3, 3), np.int8),
        "scale": np.array(0.5, np.float32),
        "zero": np.array(0, np.uint8),
        "zero8": np.array(0, np.int8),
        "rows": np.array([0, 2, -1], np.int64),
        "all": np.array([2, -1], np.int64),
        "last": np.array([-1], np.int64),
        "first": np.array(0, np.int64),
        "space": np.array([2, 3], np.int64),
        "dense": np.zeros((5, 12), np.float32),
        "matrix": np.zeros((12, 7), np.float32),
        "channels": np.zeros((4, 1, 1), np.float32),
        "column": np.zeros((1, 8, 3), np.float32),
        "sizes": np.array([1, 1, 2, 2], np.float32),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
    }
    nodes = [
        node("Conv", ["x", "w"], ["conv"], strides=[2, 1], pads=[1, 0, 1, 2], dilations=[1, 2], group=2),
        node("Conv", ["x", "w"], ["conv_same"], auto_pad="SAME_UPPER", group=2),
        node("ConvTranspose", ["x", "wt"], ["deconv"], strides=[2, 3], output_padding=[1, 0], group=2),
        node("MaxPool", ["x"], ["pool"], kernel_shape=[2, 3], strides=[2, 2]),
        node("AveragePool", ["x"], ["pool_ceil"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        node("GlobalAveragePool", ["x"], ["global"]),
        node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]),
        node("QLinearConv", ["q", "scale", "zero", "w8", "scale", "zero8", "scale", "zero"], ["qconv"]),
        node("ConvInteger", ["q", "w8"], ["iconv"]),
        node("DynamicQuantizeLinear", ["x"], ["dynq", "dyns", "dynz"]),
        node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
        node("CastLike", ["x", "half"], ["alike"]),
        node("Reshape", ["x", "rows"], ["rows_of_x"]),
        node("Shape", ["x"], ["shape"]),
        node("Reshape", ["rows_of_x", "shape"], ["x_again"]),
        node("Reshape", ["x", "all"], ["flat"]),
        node("Flatten", ["x"], ["flatten"]),
        node("Transpose", ["x"], ["last_channels"], perm=[0, 2, 3, 1]),
        node("Transpose", ["rows_of_x"], ["reversed"]),
        node("Concat", ["x", "x_again", "dq"], ["concat"], axis=1),
        node("Split", ["x"], ["left", "right"], axis=-3, num_outputs=2),
        node("Add", ["x", "channels"], ["add"]),
        node("Pow", ["channels", "scale"], ["pow"]),
        node("Greater", ["x", "channels"], ["greater"]),
        node("Where", ["greater", "scale", "x"], ["where"]),
        node("Gather", ["shape", "first"], ["batch"], axis=0),
        node("Gather", ["x", "all"], ["picked"], axis=2),
        node("Unsqueeze", ["rows_of_x", "last"], ["unsqueezed"]),
        node("ReduceMean", ["x", "space"], ["mean"], keepdims=0),
        node("ReduceMax", ["x", "last"], ["max"]),
        node("ReduceProd", ["x", "space"], ["product"], keepdims=0),
        node("Squeeze", ["unsqueezed", "last"], ["squeezed"]),
        node("Squeeze", ["column"], ["squeezed_all"]),
        node("ReduceSum", ["x"], ["sum"]),
        node("ReduceSum", ["x"], ["not_summed"], noop_with_empty_axes=1),
        node("Gemm", ["dense", "matrix"], ["gemm"]),
        node("Gemm", ["matrix", "dense"], ["gemm_transposed"], transA=1, transB=1),
        node("MatMul", ["dense", "matrix"], ["matmul"]),
        node("MatMul", ["x", "column"], ["matmul_batch"]),
        node("Resize", ["x", "", "sizes"], ["resized"]),
        node("Pad", ["x", "pads"], ["padded"]),
        node("Relu", ["half"], ["relu"]),
        node("LayerNormalization", ["x", "scale"], ["normed"]),
        node("Constant", [], ["floats"], value_floats=[1.0, 2.0]),
        node("Constant", [], ["float"], value_float=1.0),
        node("Constant", [], ["ints"], value_ints=[1, 2, 3]),
        node("Constant", [], ["int"], value_int=1),
    ]
    graph = helper.make_graph(
        nodes,
        "value types",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4, 12, 8])],
        [helper.make_tensor_value_info("relu", TensorProto.FLOAT16, [2, 4, 12, 8])],
        [numpy_helper.from_array(array, name) for name, array in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def group_norm_model() -> onnx.ModelProto:
    """Return GroupNormalization and ReLU: 4 channels in 2 groups, scale 1 to 4, bias -1."""
    nodes = [
        helper.make_node("GroupNormalization", ["x", "scale", "bias"], ["norm"], num_groups=2),
        helper.make_node("Relu", ["norm"], ["y"]),
    ]
    shape = ["n", 4, "h", "w"]
    graph = helper.make_graph(
        nodes,
        "main_graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(np.arange(1, 5, dtype=np.float32), "scale"),
            numpy_helper.from_array(np.full(4, -1, np.float32), "bias"),
        ],
        # The inliner reads the types of initializers from value_info.
        value_info=[
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("scale", "bias")
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def inlined_group_norm_model() -> onnx.ModelProto:
    """Return group_norm_model with the operator replaced by ONNX's own definition of it."""
    return inliner.inline_selected_functions(
        group_norm_model(), [("", "GroupNormalization")], inline_schema_functions=True
    )


def saved_group_norm_model() -> onnx.ModelProto:
    """Return group_norm_model as ONNX Runtime saves it after its optimizations."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.optimized_model_filepath = str(Path(folder) / "saved.onnx")
        # Hides the warning that such a model fits this machine only.
        options.log_severity_level = 3
        content = group_norm_model().SerializeToString()
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


SAMPLES = {
    "inlined-group-norm.onnx": inlined_group_norm_model,
    "saved-group-norm.onnx": saved_group_norm_model,
    "value-types.onnx": value_types_model,
    "local-function.onnx": local_function_model,
    "torchscript-group-norm.onnx": torchscript_group_norm_model,
}


if __name__ == "__main__":
    for name, make in SAMPLES.items():
        model = make()
        onnx.checker.check_model(model, full_check=True)
        (FILES / name).write_bytes(model.SerializeToString(deterministic=True))
