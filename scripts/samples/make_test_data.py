"""Write test/samples/test-data, models with data sets in ONNX's own layout, and test/samples/tensors.

    python scripts/samples/make_test_data.py

Expected values are PyTorch's, or those of onnx.backend.test. The same versions give the same bytes; last run:
torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2 (scripts/requirements.txt).
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.loader import load_model_tests

SAMPLES = Path(__file__).resolve().parents[2] / "test" / "samples"


def write_data_set(folder: Path, inputs: list[onnx.TensorProto], outputs: list[onnx.TensorProto]) -> None:
    folder.mkdir(parents=True)
    for direction, tensors in (("input", inputs), ("output", outputs)):
        for index, tensor in enumerate(tensors):
            onnx.save_tensor(tensor, folder / f"{direction}_{index}.pb")


def name_tensors(arrays: list[np.ndarray], infos: list[onnx.ValueInfoProto]) -> list[onnx.TensorProto]:
    """Return the arrays under the model's names for them."""
    return [numpy_helper.from_array(array, info.name) for array, info in zip(arrays, infos, strict=True)]


def write_onnx_case(root: Path) -> None:
    """Write ONNX's own test of GroupNormalization, in which scale and bias are inputs, under the model's names."""
    name = "test_group_normalization_example"
    [case] = [case for case in load_model_tests(kind="node") if case.name == name]
    [(inputs, outputs)] = case.data_sets
    graph = case.model.graph
    folder = root / name / "test_data_set_0"
    write_data_set(folder, name_tensors(inputs, graph.input), name_tensors(outputs, graph.output))
    (root / name / "model.onnx").write_bytes(case.model.SerializeToString(deterministic=True))


class Segmentation(torch.nn.Module):
    """Three outputs of three dtypes: a normalized map, each pixel's class, and where the first class is positive."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 4, 3, padding=1)
        self.norm = torch.nn.GroupNorm(2, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        y = torch.relu(self.norm(self.conv(x)))
        return y, y.argmax(1), y[:, 0] > 0.1


def clear_input(model: torch.nn.Module) -> torch.Tensor:
    """Return an input for which rounding cannot change a class or a sign."""
    while True:
        x = torch.randn(1, 2, 4, 5)
        y = model(x)[0]
        first, second = y.topk(2, dim=1).values.unbind(1)
        if (first - second).min() > 1e-3 and (y[:, 0] - 0.1).abs().min() > 1e-3:
            return x


def write_torch_case(root: Path) -> None:
    """Write PyTorch's export with two data sets whose tensors have no names."""
    torch.manual_seed(0)
    model = Segmentation().eval()
    folder = root / "torch-segmentation"
    with torch.no_grad():
        for index in range(2):
            x = clear_input(model)
            arrays = [numpy_helper.from_array(one.numpy()) for one in (x, *model(x))]
            write_data_set(folder / f"test_data_set_{index}", arrays[:1], arrays[1:])
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "model.onnx"
            torch.onnx.export(model, (x,), path, opset_version=21, dynamo=True, external_data=False)
            exported = onnx.load(path)
    # Delete the Python origin of each node, which contains paths of this machine.
    for holder in (exported, exported.graph, *exported.graph.node, *exported.graph.value_info):
        del holder.metadata_props[:]
    for info in (*exported.graph.input, *exported.graph.output):
        del info.metadata_props[:]
    onnx.checker.check_model(exported, full_check=True)
    (folder / "model.onnx").write_bytes(exported.SerializeToString(deterministic=True))


DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "uint8", "int16", "uint16", "int32", "uint32"]
DTYPES += ["int64", "uint64", "bool"]
ONNX_NAMES = {"float32": "FLOAT", "float64": "DOUBLE"}


def values_of(dtype: str) -> list[float] | list[int]:
    """Return six values, the extremes among them."""
    if dtype == "bool":
        return [1, 0, 0, 1, 1, 0]
    if "float" in dtype:
        return [0.0, -1.5, 0.375, float("inf"), -0.0, 384.0]
    limits = np.iinfo(dtype)
    return [0, 1, 2, 100, limits.min, limits.max]


def write_tensors(folder: Path) -> None:
    """Write each dtype twice: in the typed field and as raw bytes."""
    folder.mkdir(parents=True)
    for dtype in DTYPES:
        number = getattr(TensorProto, ONNX_NAMES.get(dtype, dtype.upper()))
        typed = helper.make_tensor(dtype, number, [2, 3], values_of(dtype))
        raw = numpy_helper.from_array(numpy_helper.to_array(typed), dtype)
        assert raw.raw_data and not typed.raw_data
        onnx.save_tensor(typed, folder / f"{dtype}-typed.pb")
        onnx.save_tensor(raw, folder / f"{dtype}-raw.pb")
    strings = helper.make_tensor("strings", TensorProto.STRING, [2], ["a", "b"])
    onnx.save_tensor(strings, folder / "strings.pb")


if __name__ == "__main__":
    for name in ("test-data", "tensors"):
        shutil.rmtree(SAMPLES / name, ignore_errors=True)
    write_onnx_case(SAMPLES / "test-data")
    write_torch_case(SAMPLES / "test-data")
    write_tensors(SAMPLES / "tensors")
