"""Write ONNX's own GroupNormalization test cases as parity fixtures: test/fixtures/onnx/<case>.safetensors.

The values are those of onnx.backend.test for the operator of opset 21 and later; the fixtures are in the
format of make_fixtures.py, so that every lowering and provider is checked against them too.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx.backend.test.loader import load_model_tests
from safetensors.numpy import save_file

FOLDER = Path(__file__).resolve().parent.parent / "test" / "fixtures" / "onnx"
CASES = ("test_group_normalization_example", "test_group_normalization_epsilon")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for case in load_model_tests(kind="node"):
        if case.name in CASES:
            write(case)


def write(case) -> None:
    [node] = case.model.graph.node
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    [((x, scale, bias), (y,))] = case.data_sets
    options = {
        "numGroups": attributes["num_groups"],
        "numChannels": x.shape[1],
        "eps": float(np.float32(attributes.get("epsilon", 1e-5))),
    }
    metadata = {
        "graph": "group-norm",
        "options": json.dumps(options),
        "framework": f"onnx {onnx.__version__}",
        "description": f"{case.name} of onnx.backend.test",
    }
    tensors = {"input.x": x, "state_dict.weight": scale, "state_dict.bias": bias, "output.y": y}
    save_file(tensors, FOLDER / f"{case.name}.safetensors", metadata)
    print(case.name, options)


if __name__ == "__main__":
    main()
