"""Writes the ONNX samples of test/samples with ONNX's own Python package, and checks them with it.

    python scripts/make_model_samples.py

The same version gives the same bytes. Last run: onnx 1.23.2.
"""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

FILES = Path(__file__).parent.parent / "test" / "samples"
DOMAIN = "test.functions"


def function_with_newer_fields() -> onnx.FunctionProto:
    """Y = alpha * X, alpha = 2 unless the call says otherwise: with the fields that came after ONNX 1.10."""
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
    """y = Scale(GroupNormalization(x)): 4 channels in 2 groups, scale 1 to 4, bias 0."""
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
            # A dtype of IR version 10, which nothing reads.
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


if __name__ == "__main__":
    model = local_function_model()
    onnx.checker.check_model(model, full_check=True)
    (FILES / "local-function.onnx").write_bytes(model.SerializeToString(deterministic=True))
