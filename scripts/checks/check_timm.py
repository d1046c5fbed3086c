"""Check resnet50_gn and resnetv2_50x1_bit in full size against timm, PyTorch and ONNX's own tools.

    python scripts/checks/check_timm.py [--keep DIR]

For each network: timm's module with parameters from the counter (scripts/fixtures/values.py), its
state_dict as .safetensors, the model that `onnx-groupnorm build` makes of it at several opsets, and

- `onnx.checker` with full checks, and Python's onnxruntime on the model: no further from the
  module in float64 than 3 times PyTorch in float32;
- `inspect` and `convert`, with the same results;
- `run` on the providers native, cpu and wasm, with the same limit.

With --keep, the folder also gets `torch.onnx.export`'s model of the same module, to compare times.
It needs 2 GB of memory and about two minutes.
Last run: timm 1.0.31, torch 2.13.0, onnxruntime 1.32.0.
"""

from __future__ import annotations

import argparse
import copy
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "fixtures"))

import case  # noqa: E402, F401 - sets the code paths of PyTorch's libraries before they load
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from values import fill_from_counter  # noqa: E402

CLI = ["node", "--import", "tsx", "lib/cli/main.ts"]
NETWORKS = {"resnet50_gn": "resnet-gn", "resnetv2_50x1_bit": "resnetv2-bit"}
OPSETS = [17, 18, 21, 25]
PROVIDERS = ["native", "cpu", "wasm"]
SHAPE = (1, 3, 224, 224)


def cli(*arguments: object) -> str:
    command = [*CLI, *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr or result.stdout}")
    return result.stdout


def by_onnxruntime(model: Path, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


class Judge:
    """Compares results with float64, in units of PyTorch's own distance."""

    def __init__(self, network: str, truth: np.ndarray, by_torch: np.ndarray) -> None:
        self.network, self.truth = network, truth
        self.unit = float(np.abs(by_torch - truth).max())
        self.failed = False
        print(f"{network}: PyTorch in float32 is {self.unit:.2g} from float64 (largest output {np.abs(truth).max():.3g})")

    def __call__(self, what: str, y: np.ndarray) -> None:
        ratio = float(np.abs(y.astype(np.float64) - self.truth).max()) / self.unit
        self.failed |= not ratio <= 3
        print(f"  {what:<44} {ratio:5.2f} times PyTorch's distance{'' if ratio <= 3 else '  FAILED'}")


@torch.no_grad()
def check(network: str, graph: str, folder: Path, export: bool) -> bool:
    module = timm.create_model(network).eval()
    fill_from_counter(module, 0)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(SHAPE, generator=generator)
    truth = copy.deepcopy(module).double()(x.double()).numpy()
    judge = Judge(network, truth, module(x).double().numpy())
    weights = folder / f"{network}.safetensors"
    save_file(module.state_dict(), weights)
    np.save(folder / "x.npy", x.numpy())
    for opset in OPSETS:
        model = folder / f"{network}-{opset}.onnx"
        cli("build", graph, "--weights", weights, "--opset", opset, "-o", model)
        onnx.checker.check_model(str(model), full_check=True)
        judge(f"Python's onnxruntime, opset {opset}", by_onnxruntime(model, x.numpy()))
    model = folder / f"{network}-21.onnx"
    norms = cli("inspect", model).count("GroupNormalization")
    print(f"  inspect names GroupNormalization {norms} times")
    converted = folder / f"{network}-converted.onnx"
    cli("convert", model, "-o", converted)
    judge("convert, then Python's onnxruntime", by_onnxruntime(converted, x.numpy()))
    for provider in PROVIDERS:
        output = folder / f"{network}-{provider}"
        cli("run", model, "--input", f"x={folder / 'x.npy'}", "--provider", provider, "--output", output)
        judge(f"run on {provider}, opset 21", np.load(output / "y.npy"))
    if export:
        torch.onnx.export(module, (x,), str(folder / f"{network}-torch.onnx"), dynamo=True, external_data=False, input_names=["x"])
    return not judge.failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the models to this folder and keep them")
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), metavar="NETWORK", help=f"{' or '.join(NETWORKS)} (default: both)")
    options = parser.parse_args()
    keep, chosen = options.keep, {name: NETWORKS[name] for name in options.networks}
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        results = [check(network, graph, folder, keep is not None) for network, graph in chosen.items()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
