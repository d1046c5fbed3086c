"""Models as exporters write them, without what differs from machine to machine."""

import onnx


def without_traces(model: onnx.ModelProto) -> bytes:
    """Return the bytes of a model without the exporter's notes, which hold paths of this machine."""
    clear(model)
    clear_graph(model.graph)
    return model.SerializeToString(deterministic=True)


def clear_graph(graph: onnx.GraphProto) -> None:
    """Remove the notes of a graph, and of the bodies in it."""
    for message in (graph, *graph.node, *graph.input, *graph.output):
        clear(message)
    for message in (*graph.value_info, *graph.initializer):
        message.ClearField("metadata_props")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                clear_graph(attribute.g)


def clear(message: onnx.ModelProto | onnx.GraphProto | onnx.NodeProto | onnx.ValueInfoProto) -> None:
    message.ClearField("metadata_props")
    message.ClearField("doc_string")
