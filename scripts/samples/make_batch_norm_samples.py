"""Write test/samples/batch-norm: networks with BatchNorm, and what they compute after the recipe with GroupNorm.

    python scripts/samples/make_batch_norm_samples.py

Each model is exported with its BatchNorm kept. Its tensors are the input `x`; the results in float64 of the network after
the recipe of batch_norm_recipe.py, `fresh` with 8 groups, and `kept` with 4 groups and the old weights and biases; and
its `state_dict.*` before the recipe. The same versions give the same bytes; last run: torch 2.13.0, onnxscript 0.7.2,
onnx 1.23.2 (scripts/requirements.txt).
"""

import copy
import io
import warnings
from pathlib import Path

import onnx
import torch
from safetensors.torch import save
from torch import Tensor, nn

from batch_norm_recipe import batch_norm_to_group_norm
from without_traces import without_traces

FOLDER = Path(__file__).resolve().parents[2] / "test" / "samples" / "batch-norm"


class Images(nn.Module):
    """Convolutions with BatchNorm behind, a BatchNorm in front of an activation, and a BatchNorm that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16, eps=1e-3), nn.ReLU())
        self.conv = nn.Conv2d(16, 12, 3)
        self.bn = nn.BatchNorm2d(12)
        self.shared = nn.BatchNorm2d(12)
        self.plain = nn.BatchNorm2d(12, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(self.stem(x))).relu()
        return self.shared(self.plain(self.shared(x)).relu())


class Rows(nn.Module):
    """BatchNorm of (N, C, L) and of (N, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 16, 3)
        self.bn = nn.BatchNorm1d(16)
        self.linear = nn.Linear(16, 24)
        self.head = nn.BatchNorm1d(24)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.linear(self.bn(self.conv(x)).relu().mean(2)))


class Volumes(nn.Module):
    """BatchNorm of (N, C, D, H, W), as SyncBatchNorm is exported too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(2, 8, 2)
        self.bn = nn.BatchNorm3d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu()


def train(network: nn.Module) -> nn.Module:
    """Give every BatchNorm weights, biases and statistics as training does. (`plain` has no weights.)"""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias)
    return network.eval()


def after_recipe(network: nn.Module, x: Tensor, **options: object) -> Tensor:
    new = copy.deepcopy(network)
    batch_norm_to_group_norm(new, **options)
    return new.double()(x.double()).detach()


def torchscript(network: nn.Module, x: Tensor, opset: int) -> onnx.ModelProto:
    buffer = io.BytesIO()
    sizes = {"x": {0: "N"}}
    torch.onnx.export(
        network, (x,), buffer, dynamo=False, opset_version=opset, input_names=["x"], output_names=["y"],
        dynamic_axes=sizes, do_constant_folding=False,
    )  # fmt: skip
    return onnx.load_from_string(buffer.getvalue())


def dynamo(network: nn.Module, x: Tensor, opset: int) -> onnx.ModelProto:
    program = torch.onnx.export(
        network, (x,), dynamo=True, opset_version=opset, input_names=["x"], output_names=["y"],
        optimize=False, verbose=False,
    )  # fmt: skip
    return program.model_proto


SAMPLES = {
    "images-torchscript": (torchscript, Images, (2, 3, 12, 12), 17),
    "images-dynamo": (dynamo, Images, (2, 3, 12, 12), 21),
    "rows-torchscript": (torchscript, Rows, (2, 4, 9), 11),
    "rows-dynamo": (dynamo, Rows, (2, 4, 9), 23),
    "volumes-torchscript": (torchscript, Volumes, (2, 2, 4, 5, 4), 9),
    "volumes-dynamo": (dynamo, Volumes, (2, 2, 4, 5, 4), 18),
}


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    FOLDER.mkdir(exist_ok=True)
    for name, (export, network_class, shape, opset) in SAMPLES.items():
        torch.manual_seed(0)
        network = train(network_class())
        x = torch.randn(shape)
        content = without_traces(export(network, x, opset))
        onnx.checker.check_model(content, full_check=True)
        (FOLDER / f"{name}.onnx").write_bytes(content)
        tensors = {"x": x, "fresh": after_recipe(network, x, num_groups=8)}
        tensors["kept"] = after_recipe(network, x, num_groups=4, keep_affine=True)
        tensors |= {f"state_dict.{key}": value for key, value in network.state_dict().items()}
        (FOLDER / f"{name}.safetensors").write_bytes(save(tensors))
