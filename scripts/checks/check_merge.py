"""Check `convert --merge` on exports of opset 13 to 20: ONNX's checker takes the result, and it computes what it did.

    python scripts/checks/check_merge.py

Needs scripts/requirements.txt. Compares Python's onnxruntime on the model before and after, and both with PyTorch.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[2]
GROUPS, CHANNELS = 4, 8


class Network(nn.Module):
    """A GroupNorm, and behind it operators that opsets have changed."""

    def __init__(self, tail: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, 3)
        self.norm = nn.GroupNorm(GROUPS, CHANNELS)
        self.tail = tail

    def forward(self, x: Tensor) -> object:
        return self.tail(self.norm(self.conv(x)))


def image(x: Tensor) -> Tensor:
    """A grid for grid_sample, that is made of the values themselves."""
    return x[:, :2].permute(0, 2, 3, 1).tanh()


TAILS: dict[str, Callable[[Tensor], object]] = {
    "mean": lambda x: (x.mean((2, 3)), x.sum(1, keepdim=True), x.amax(2), x.std(3), x.logsumexp(1), x.norm(dim=1)),
    "shape": lambda x: (x.unsqueeze(1).squeeze(1), x.flatten(2).softmax(2), x.softmax(1), x.log_softmax(-1)),
    "split": lambda x: (*x.chunk(2, 1), *x.split([3, 5], 1), *x.chunk(3, 2), x[:, 1:5, ::2]),
    "pool": lambda x: (F.avg_pool2d(x, 2), F.avg_pool2d(x, 3, 2, 1), F.max_pool2d(x, 3, 2, 1), F.adaptive_avg_pool2d(x, 1)),
    "ceil": lambda x: (F.avg_pool2d(x, 3, 2, ceil_mode=True, count_include_pad=False), F.max_pool2d(x, 3, 2, ceil_mode=True)),
    "resize": lambda x: tuple(
        F.interpolate(x, scale_factor=1.5, mode=mode, align_corners=align)
        for mode, align in [("nearest", None), ("bilinear", False), ("bilinear", True), ("bicubic", False)]
    ),
    "pad": lambda x: (F.pad(x, (1, 2, 0, 1)), F.pad(x, (1, 2, 3, 1), "reflect"), F.pad(x, (1, 0, 0, 1), "replicate")),
    "cast": lambda x: ((x > 0).float(), x.half().float(), torch.where(x > 0, x, -x), x.cumsum(1), x.clamp(-1, 1), x.round()),
    "index": lambda x: (x.topk(3, 1).values, x.argmax(1), x[:, [2, 0]], x.gather(1, x.argsort(1)[:, :2]), x.tril()),
    "sample": lambda x: (F.grid_sample(x, image(x), align_corners=False), F.grid_sample(x, image(x), "nearest", "border", True)),
    "layers": lambda x: (F.layer_norm(x, x.shape[2:]), F.instance_norm(x), F.gelu(x), F.hardswish(x), F.leaky_relu(x), F.mish(x)),
    "batch": lambda x: F.batch_norm(x, torch.zeros(CHANNELS), torch.ones(CHANNELS)),
    "dropout": lambda x: F.dropout(x, 0.5, False),
}  # fmt: skip


def run(path: Path, x: Tensor) -> list[Tensor]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(value) for value in session.run(None, {"x": x.numpy()})]


def check(name: str, opset: int, is_dynamo: bool, folder: Path) -> str:
    torch.manual_seed(0)
    network = Network(TAILS[name]).eval()
    x = torch.randn(2, 3, 14, 14)
    before, after = folder / "before.onnx", folder / "after.onnx"
    kind = dict(dynamo=True, external_data=False, verbose=False) if is_dynamo else dict(dynamo=False)
    try:
        torch.onnx.export(network, (x,), before, opset_version=opset, input_names=["x"], **kind)
    except Exception as error:
        return f"not exported: {type(error).__name__}"
    if (version := onnx.load(before).opset_import[0].version) != opset:
        return f"not exported at {opset} (but at {version})"
    command = ["node", "--import", "tsx", "lib/cli/main.ts", "convert", str(before), "-o", str(after), "--merge"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        return f"refused: {done.stderr.strip().splitlines()[-1]}"
    onnx.checker.check_model(after, full_check=True)
    model = onnx.load(after)
    if model.opset_import[0].version != 21 or not any(n.op_type == "GroupNormalization" for n in model.graph.node):
        return "FAILED: not merged"
    expected = network(x)
    expected = [expected] if isinstance(expected, Tensor) else list(expected)
    for old, new, torchs in zip(run(before, x), run(after, x), expected, strict=True):
        try:
            torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(new, torchs.detach(), rtol=1e-3, atol=1e-4)
        except AssertionError as error:
            return f"FAILED: {str(error).splitlines()[0]} {[line for line in str(error).splitlines() if 'Greatest' in line]}"
    return "ok"


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for is_dynamo, opsets in [(False, (13, 15, 16, 17, 18, 20)), (True, (18, 20))]:
            for opset in opsets:
                for name in sys.argv[1:] or TAILS:
                    result = check(name, opset, is_dynamo, Path(folder))
                    failed |= result.startswith("FAILED")
                    print(f"{'dynamo' if is_dynamo else 'torchscript':12} {opset} {name:8} {result}", flush=True)
    sys.exit(1 if failed else 0)
