"""Write docs/plots/exporters.json: this project's models beside PyTorch's exports of the same modules.

Each network gets parameters from the counter-based generator. Both exporters of torch.onnx export it, and
`onnx-groupnorm build` builds it from its state_dict. All four files run in Python's onnxruntime.
`npm run docs:figures` makes the table of docs/exporters.md of the report.

Needs the packages of scripts/requirements.txt, this project's node_modules, and two minutes on two cores.
"""

from __future__ import annotations

import argparse
import datetime
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "fixtures"))

# Import this first: it chooses PyTorch's kernels.
from case import configure_torch, serialise, stable_hash  # noqa: E402

# isort: split
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from resnet import DetectionBackbone, ResNetBlockGN  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.export import Dim  # noqa: E402
from unet import DoubleConvGN, UNetGN  # noqa: E402
from values import Shape, fill_from_counter, normal  # noqa: E402

REPORT = ROOT / "docs" / "plots" / "exporters.json"
AXES = {0: "N", 2: "H", 3: "W"}
NORMS = ("GroupNormalization", "InstanceNormalization", "ReduceMean")
KINDS = (*NORMS, "Reshape", "Shape", "Constant")


@dataclass(frozen=True)
class Network:
    """A module, its options in its constructor's order, and two shapes to run it on.

    The title is the registry's name of the network, optionally followed by a comma and a remark.
    """

    title: str
    module: Callable[..., nn.Module]
    options: dict[str, int]
    shape: Shape
    other: Shape


@dataclass(frozen=True)
class Sample:
    """An input, and the outputs of the module in float32 and in float64."""

    x: Tensor
    outputs: list[Tensor]
    truths: list[Tensor]


Row = dict[str, Any]
Export = Callable[[Network, nn.Module, Tensor, Path], None]


def networks() -> list[Network]:
    maps, odd_maps = (2, 32, 24, 20), (3, 32, 17, 29)
    images, larger = (2, 3, 64, 96), (3, 3, 96, 128)
    block = {"inChannels": 32, "outChannels": 64, "stride": 2, "numGroups": 32}
    conv = {"inChannels": 32, "outChannels": 64, "numGroups": 8}
    unet = {"inChannels": 3, "numClasses": 2, "numGroups": 8}
    thin = {"numGroups": 8, "width": 8, "fpnChannels": 16}
    full = {"numGroups": 32, "width": 64, "fpnChannels": 256}
    backbone = "detection-backbone"
    return [
        Network("group-norm", nn.GroupNorm, {"numGroups": 8, "numChannels": 32}, maps, odd_maps),
        Network("resnet-block", ResNetBlockGN, block, maps, odd_maps),
        Network("double-conv", DoubleConvGN, conv, maps, odd_maps),
        Network("unet, width 8", UNetGN, {**unet, "width": 8}, images, larger),
        Network("unet, default size", UNetGN, {**unet, "width": 64}, images, larger),
        Network(f"{backbone}, width 8", DetectionBackbone, thin, images, larger),
        Network(f"{backbone}, default size", DetectionBackbone, full, images, larger),
    ]


def pytorch(**options: Any) -> Export:
    def export(_: Network, module: nn.Module, x: Tensor, path: Path) -> None:
        torch.onnx.export(module, (x,), str(path), input_names=["x"], verbose=False, **options)

    return export


def ours(lowering: str, opset: int) -> Export:
    def export(network: Network, module: nn.Module, _: Tensor, path: Path) -> None:
        weights = path.with_suffix(".safetensors")
        weights.write_bytes(serialise(module.state_dict(), {}))
        options = {**network.options, "weights": weights, "opset": opset, "lowering": lowering}
        flags = [f"--{re.sub('(?=[A-Z])', '-', key).lower()}={options[key]}" for key in options]
        cli = ["node", "--import", "tsx", "lib/cli/main.ts", "build", network.title.split(",")[0]]
        subprocess.run([*cli, *flags, "-o", path], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    return export


EXPORTS: dict[str, Export] = {
    "TorchScript": pytorch(dynamo=False, opset_version=17, dynamic_axes={"x": AXES}),
    "dynamo": pytorch(
        dynamo=True,
        opset_version=21,
        dynamic_shapes=({axis: Dim(name) for axis, name in AXES.items()},),
        external_data=False,
    ),
    "op": ours("op", 21),
    "reduce-mean": ours("reduce-mean", 17),
}


@torch.no_grad()
def run_module(network: Network, module: nn.Module) -> dict[str, Sample]:
    exact = network.module(*network.options.values()).eval().double()
    exact.load_state_dict(module.state_dict())

    def sample(shape: Shape, mean: float = 0.0, deviation: float = 1.0) -> Sample:
        generator = torch.Generator().manual_seed(stable_hash(f"{network.title}/{shape}/{mean}"))
        x = normal(mean, deviation)(shape, generator).float()
        return Sample(x, tensors(module(x)), tensors(exact(x.double())))

    (n, c, h, w), (other_n, _, other_h, other_w) = network.shape, network.other
    return {
        "normal": sample(network.shape),
        "large mean": sample(network.shape, 1000.0, 0.1),
        f"batch of {other_n}": sample((other_n, c, h, w)),
        f"{other_h}×{other_w}": sample((n, c, other_h, other_w)),
    }


def tensors(outputs: Tensor | dict[str, Tensor]) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else list(outputs.values())


def errors_of(samples: dict[str, Sample], path: Path) -> Row:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    errors: Row = {}
    for name, sample in samples.items():
        try:
            outputs = [torch.from_numpy(y) for y in session.run(None, {"x": sample.x.numpy()})]
        except Exception:  # noqa: BLE001 - onnxruntime's exceptions have no class in common
            outputs = []
        errors[name] = {
            "float64": largest_error(outputs, sample.truths),
            "PyTorch": largest_error(outputs, sample.outputs),
        }
    return errors


def largest_error(actual: list[Tensor], expected: list[Tensor]) -> float | str | None:
    """Return the largest difference, None for NaN, or a word that says why there is no number."""
    if [y.shape for y in actual] != [y.shape for y in expected]:
        return "wrong shape" if actual else "fails"
    pairs = zip(actual, expected, strict=True)
    worst = float(np.max([(a.double() - e.double()).abs().max() for a, e in pairs]))
    return None if np.isnan(worst) else float(f"{worst:.3e}")


def describe_file(module: nn.Module, path: Path) -> Row:
    model, parameters = onnx.load(path), module.state_dict()
    kept = {tensor.name for tensor in model.graph.initializer} & set(parameters)
    count = Counter(node.op_type for node in model.graph.node)
    return {
        "opset": next(entry.version for entry in model.opset_import if entry.domain == ""),
        "irVersion": model.ir_version,
        "nodes": count.total(),
        "operators": {kind: count[kind] for kind in KINDS},
        "bytes": path.stat().st_size,
        "bytesOfWeights": sum(4 * p.numel() for p in parameters.values()),
        "keysKept": len(kept),
        "keys": len(parameters),
        "checker": check(path),
    }


def check(path: Path) -> str:
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception:  # noqa: BLE001 - the checker's and shape inference's errors differ
        return "refuses"
    return "passes"


def measure(network: Network, folder: Path) -> list[Row]:
    """Return a row for PyTorch itself, and one for each export."""
    module = network.module(*network.options.values()).eval()
    fill_from_counter(module, seed=0)
    samples = run_module(network, module)
    about = {
        "network": network.title,
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "input": list(network.shape),
    }
    own = {key: {"float64": largest_error(s.outputs, s.truths)} for key, s in samples.items()}
    rows = [{**about, "form": "PyTorch", "errors": own}]
    for name, export in EXPORTS.items():
        print(f"  {name}", flush=True)
        export(network, module, samples["normal"].x, path := folder / "model.onnx")
        figures = {**describe_file(module, path), "errors": errors_of(samples, path)}
        rows.append({**about, "form": name, **figures})
    return rows


def processor() -> str:
    """Return the processor as the other reports name it."""
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    return f"{os.cpu_count()} × {names[0] if names else 'unknown processor'}"


def main() -> int:
    raw = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(description=__doc__, formatter_class=raw).parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    configure_torch()
    packages = {"PyTorch": torch, "onnx": onnx, "onnxruntime": onnxruntime}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, network in enumerate(every := networks(), 1):
            print(f"[{number}/{len(every)}] {network.title}", flush=True)
            rows += measure(network, Path(folder))
    report = {
        "command": "npm run docs:exporters",
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": processor(),
        "versions": {key: p.__version__.partition("+")[0] for key, p in packages.items()},
        "notRun": [],
    }
    REPORT.write_text(in_lines(report, rows), encoding="utf-8")
    return 0


def in_lines(report: Row, rows: list[Row]) -> str:
    """Return JSON with one line a row, as bench/report.ts writes it."""
    head = json.dumps(report, ensure_ascii=False, indent=2).removesuffix("\n}")
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    return f'{head},\n  "rows": [\n    ' + ",\n    ".join(lines) + "\n  ]\n}\n"


if __name__ == "__main__":
    sys.exit(main())
