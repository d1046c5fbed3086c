"""Check `convert --batch-norm-to-group-norm` on public networks against the same recipe in PyTorch. By hand; minutes.

    python scripts/checks/check_batch_norm.py [NAME ...]

Each network of torchvision or timm gets random weights and statistics, is exported with its BatchNorm by both exporters,
and is converted with new and with kept weights. The converted model in onnxruntime must be as near to float64 as PyTorch
is after the recipe, and its initializers and the converted state_dict must have the keys of PyTorch's. Needs the packages
of scripts/exports/requirements.txt, and onnxruntime.
"""

from __future__ import annotations

import copy
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "scripts" / "exports"), str(ROOT / "scripts" / "samples")]

import without_torchvision  # noqa: F401, E402, I001
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402
from batch_norm_recipe import batch_norm_to_group_norm  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

NETWORKS = {
    "torchvision-resnet18": lambda: torchvision.models.resnet18(),
    "torchvision-resnet50": lambda: torchvision.models.resnet50(),
    "torchvision-mobilenet_v3_small": lambda: torchvision.models.mobilenet_v3_small(),
    "torchvision-efficientnet_b0": lambda: torchvision.models.efficientnet_b0(),
    "torchvision-densenet121": lambda: torchvision.models.densenet121(),
    "timm-resnet18": lambda: timm.create_model("resnet18"),
    "timm-mobilenetv3_small_100": lambda: timm.create_model("mobilenetv3_small_100"),
    "timm-efficientnet_b0": lambda: timm.create_model("efficientnet_b0"),
    "timm-regnety_004": lambda: timm.create_model("regnety_004"),
    "timm-cspresnet50": lambda: timm.create_model("cspresnet50"),
}
"""PyTorch's exporters, with the options that keep BatchNorm."""
EXPORTERS = {"torchscript": dict(dynamo=False, do_constant_folding=False), "dynamo": dict(dynamo=True, optimize=False)}
"""How much farther from float64 than PyTorch the result may be, relative to PyTorch's distance."""
FARTHER = 4


def train(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def convert(source: Path, output: Path, *flags: str) -> str:
    command = ["node", "--import", "tsx", "lib/cli/main.ts", "convert", str(source), "-o", str(output)]
    command += [*flags, "--batch-norm-to-group-norm"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


def check(name: str, folder: Path) -> bool:
    torch.manual_seed(0)
    network = train(NETWORKS[name]())
    x = torch.randn(2, 3, 96, 96)
    passed = True
    save_file(network.state_dict(), folder / "in.safetensors")
    for keep in (False, True):
        flags = ["--keep-affine"] if keep else []
        new = copy.deepcopy(network)
        batch_norm_to_group_norm(new, keep_affine=keep)
        state = {key: value.clone() for key, value in new.state_dict().items()}
        convert(folder / "in.safetensors", folder / "out.safetensors", *flags)
        loaded = load_file(folder / "out.safetensors")
        is_same = loaded.keys() == state.keys() and all(torch.equal(loaded[key], state[key]) for key in state)
        with torch.no_grad():
            single = new(x)
            double = copy.deepcopy(new).double()(x.double())
        reference = (single - double).abs().max().item()
        for exporter, options in EXPORTERS.items():
            path, output = folder / "in.onnx", folder / "out.onnx"
            torch.onnx.export(network, (x,), path, external_data=False, verbose=False, input_names=["x"], **options)
            convert(path, output, "--lowering", "reduce-mean", *flags)
            model = onnx.load(output)
            onnx.checker.check_model(output, full_check=True)
            kept = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
            # The TorchScript exporter merges equal weights of other modules, by Identity under their own names.
            names = kept.keys() | {name for node in model.graph.node for name in node.output}
            missing = [key for key in state if key not in names]
            missing += [key for key in state if key in kept and (kept[key] != state[key].numpy()).any()]
            left = [node.op_type for node in model.graph.node if node.op_type == "BatchNormalization"]
            session = onnxruntime.InferenceSession(output, providers=["CPUExecutionProvider"])
            result = torch.from_numpy(session.run(None, {"x": x.numpy()})[0])
            distance = (result - double).abs().max().item()
            is_right = is_same and not left and not missing and distance <= FARTHER * reference
            passed &= is_right
            print(
                f"{name:32} {exporter:12} {'kept' if keep else 'fresh':6} from float64: {distance:.1e} (PyTorch {reference:.1e}, "
                f"results up to {double.abs().max().item():.1e}), missing keys {missing[:3]}: {'ok' if is_right else 'FAILED'}",
                flush=True,
            )
    return passed


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    names = sys.argv[1:] or list(NETWORKS)
    with tempfile.TemporaryDirectory() as folder:
        results = [check(name, Path(folder)) for name in names]
    sys.exit(0 if all(results) else 1)
