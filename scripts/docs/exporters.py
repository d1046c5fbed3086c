"""Write the tables of docs/exporters.md: this project's models beside PyTorch's exports of the same modules.

Each network gets parameters from the counter-based generator. Both exporters of torch.onnx export it, and
`onnx-groupnorm build` builds it from its state_dict. All four files run in Python's onnxruntime. The tables
replace those below the marker in docs/exporters.md; the text above the marker is written by hand.

Needs the packages of scripts/requirements.txt, this project's node_modules, and two minutes on two cores.
"""

from __future__ import annotations

import argparse
import logging
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

PAGE = ROOT / "docs" / "exporters.md"
MARKER = "<!-- scripts/docs/exporters.py writes the rest of this page -->"
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


Column = dict[str, str]  # by the row's label
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
    "`op`": ours("op", 21),
    "`reduce-mean`": ours("reduce-mean", 17),
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


def error_rows(samples: dict[str, Sample], path: Path) -> Column:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rows: Column = {}
    for name, sample in samples.items():
        try:
            outputs = [torch.from_numpy(y) for y in session.run(None, {"x": sample.x.numpy()})]
        except Exception:  # noqa: BLE001 - onnxruntime's exceptions have no class in common
            outputs = []
        rows[f"{name}: float64"] = describe_error(outputs, sample.truths)
        rows[f"{name}: PyTorch"] = describe_error(outputs, sample.outputs)
    return rows


def describe_error(actual: list[Tensor], expected: list[Tensor]) -> str:
    if [y.shape for y in actual] != [y.shape for y in expected]:
        return "wrong shape" if actual else "fails"
    pairs = zip(actual, expected, strict=True)
    worst = np.max([(a.double() - e.double()).abs().max() for a, e in pairs])
    return "NaN" if np.isnan(worst) else re.sub(r"e([+-])0", r"e\1", f"{worst:.1e}")


def file_rows(module: nn.Module, path: Path) -> Column:
    model, parameters = onnx.load(path), module.state_dict()
    size, weights = path.stat().st_size, sum(4 * p.numel() for p in parameters.values())
    kept = {tensor.name for tensor in model.graph.initializer} & set(parameters)
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    count = Counter(node.op_type for node in model.graph.node)
    return {
        "opset, IR version": f"{opset}, {model.ir_version}",
        "nodes": str(count.total()),
        **{f"`{kind}`": str(count[kind]) for kind in KINDS},
        "other operators": str(count.total() - sum(count[kind] for kind in KINDS)),
        "file, kB": f"{size / 1e3:,.1f}",
        "besides the weights, kB": f"{(size - weights) / 1e3:,.1f}",
        "state_dict keys kept": f"{len(kept)} of {len(parameters)}",
        "checker": check(path),
    }


def check(path: Path) -> str:
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception:  # noqa: BLE001 - the checker's and shape inference's errors differ
        return "refuses"
    return "passes"


def section(network: Network, folder: Path) -> str:
    """Return the heading and the table of a network."""
    module = network.module(*network.options.values()).eval()
    fill_from_counter(module, seed=0)
    samples = run_module(network, module)
    columns: dict[str, Column] = {}
    for name, export in EXPORTS.items():
        print(f"  {name.strip('`')}", flush=True)
        export(network, module, samples["normal"].x, path := folder / "model.onnx")
        columns[name] = {**file_rows(module, path), **error_rows(samples, path)}
    labels = list(dict.fromkeys(label for column in columns.values() for label in column))
    own = {f"{key}: float64": describe_error(s.outputs, s.truths) for key, s in samples.items()}
    count = sum(parameter.numel() for parameter in module.parameters())
    about = f"{count:,} parameters, exported with an input of {'×'.join(map(str, network.shape))}."
    return f"## {network.title}\n\n{about}\n\n{table(labels, {'PyTorch': own, **columns})}\n"


def table(labels: list[str], columns: dict[str, Column]) -> str:
    rows = [["", *columns], ["---", *("---:" for _ in columns)]]
    rows += [[label, *(column.get(label, "–") for column in columns.values())] for label in labels]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> int:
    raw = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(description=__doc__, formatter_class=raw).parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    configure_torch()
    text, marker, _ = PAGE.read_text(encoding="utf-8").partition(MARKER)
    if not marker:
        raise SystemExit(f"{PAGE} has no line {MARKER}")
    packages = {"PyTorch": torch, "onnx": onnx, "onnxruntime": onnxruntime}
    versions = [f"{key} {p.__version__.partition('+')[0]}" for key, p in packages.items()]
    parts = [text + marker, f"Measured with {', '.join(versions)}."]
    with tempfile.TemporaryDirectory() as folder:
        for number, network in enumerate(every := networks(), 1):
            print(f"[{number}/{len(every)}] {network.title}", flush=True)
            parts.append(section(network, Path(folder)))
    PAGE.write_text("\n\n".join(parts), encoding="utf-8")
    prettier = ["node", "node_modules/prettier/bin/prettier.cjs", "--write", PAGE]
    subprocess.run(prettier, cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
