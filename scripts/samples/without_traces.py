"""Models as exporters write them, without what differs from machine to machine."""

import onnx


def without_traces(model: onnx.ModelProto) -> bytes:
    """Return the bytes of a model without the exporter's notes, which hold paths of this machine."""
    for message in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        message.ClearField("metadata_props")
        message.ClearField("doc_string")
    for message in (*model.graph.value_info, *model.graph.initializer):
        message.ClearField("metadata_props")
    return model.SerializeToString(deterministic=True)
