"""Check what `onnx-groupnorm export-triton` writes, for the graphs of this package and for the models that are given.

    python scripts/checks/check_triton.py [MODEL.onnx ...]

Needs scripts/requirements.txt, and: pip install "tritonclient[grpc]==2.73.0"

Parses config.pbtxt by Triton's own schema, applies the rules that Triton's ONNX Runtime backend has for max_batch_size, and
runs the exported model in Python's onnxruntime with every batch size that the configuration promises. Triton itself does not run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

ROOT = Path(__file__).resolve().parents[2]
BUILT = {
    "group-norm": ["--num-groups", "8", "--num-channels", "32"],
    "resnet-block": ["--in-channels", "8", "--out-channels", "16", "--num-groups", "4", "--opset", "17"],
    "double-conv": ["--in-channels", "3", "--out-channels", "16", "--num-groups", "4"],
    "unet": [],
    "detection-backbone": [],
    "norm-comparison": [],
    "autoencoder-kl": ["--part", "encoder"],
}
# What the sizes are that a model leaves open: a multiple of 32, as the detection backbone needs.
OPEN_SIZE = 32
ELEMENT_TYPES = {1: "TYPE_FP32", 10: "TYPE_FP16", 11: "TYPE_FP64", 7: "TYPE_INT64", 16: "TYPE_BF16"}


def command(*args: str | Path) -> str:
    done = subprocess.run(
        ["node", "--import", "tsx", "lib/cli/main.ts", *map(str, args)], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, args))}: {done.stderr}")
    return done.stdout


def model_file(version: Path) -> Path:
    path = version / "model.onnx"
    return path / "model.onnx" if path.is_dir() else path


def check_triton(folder: Path) -> str:
    """Check one model of a repository; return what its configuration promises."""
    config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    assert (config.name, config.backend) == (folder.name, "onnxruntime")
    path = model_file(folder / "1")
    onnx.checker.check_model(str(path), full_check=True)
    graph = onnx.load(path, load_external_data=False).graph
    initializers = {tensor.name for tensor in graph.initializer}
    batched = config.max_batch_size > 0
    assert batched == config.HasField("dynamic_batching")
    pairs = [
        *zip([value for value in graph.input if value.name not in initializers], config.input, strict=True),
        *zip(graph.output, config.output, strict=True),
    ]
    for value, described in pairs:
        tensor = value.type.tensor_type
        dims = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
        assert value.name == described.name
        assert model_config_pb2.DataType.Name(described.data_type) == ELEMENT_TYPES[tensor.elem_type]
        # Triton refuses a batch whose dimension the model declares by a number, and dims that are empty.
        assert not batched or dims[0] == -1, value.name
        assert len(described.dims) > 0
        own = list(described.reshape.shape) if described.HasField("reshape") else list(described.dims)
        assert own == (dims[1:] if batched else dims), (value.name, own, dims)
    if not batched:
        return "max_batch_size 0"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {
        value.name: [dim if isinstance(dim, int) else OPEN_SIZE for dim in value.shape[1:]]
        for value in session.get_inputs()
    }
    samples = [
        {name: np.random.default_rng(seed).standard_normal([1, *dims]).astype(np.float32) for name, dims in inputs.items()}
        for seed in range(config.max_batch_size)
    ]
    alone = [session.run(None, sample) for sample in samples]
    for size in range(1, config.max_batch_size + 1):
        batch = {name: np.concatenate([sample[name] for sample in samples[:size]]) for name in inputs}
        for index, output in enumerate(session.run(None, batch)):
            assert output.shape[0] == size
            for row in range(size):
                np.testing.assert_allclose(output[row], alone[row][index][0], rtol=1.3e-6, atol=1e-5)
    return f"every batch up to {config.max_batch_size} gives each sample its own answer"


def main(given: list[str]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for graph, options in BUILT.items():
            path = folder / f"{graph}.onnx"
            command("build", graph, *options, "-o", path)
            given.append(str(path))
        for model in given:
            output = command("export-triton", model, "-o", folder / "models")
            name = output.splitlines()[0].split(":")[0].removeprefix("Wrote ")
            print(f"{Path(name).name}: {check_triton(Path(name))}")


main(sys.argv[1:])
