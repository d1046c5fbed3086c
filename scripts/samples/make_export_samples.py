"""Write test/samples/exports: GroupNorm as exporters write it, each model with an input and its result in float64.

    python scripts/samples/make_export_samples.py

The result is that of the same module in float64. The same versions give the same bytes; last run: torch 2.13.0,
onnxscript 0.7.2, onnx 1.23.2, keras 3.15.1 (scripts/requirements.txt).
"""

import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import onnx
import torch
from safetensors.torch import save
from torch import nn

from without_traces import without_traces

FOLDER = Path(__file__).resolve().parents[2] / "test" / "samples" / "exports"


class Attention(nn.Module):
    """GroupNorm of an image as a sequence, as diffusers' attention has it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        sequence = x.view(batch, channels, height * width).transpose(1, 2)
        normed = self.norm(sequence.transpose(1, 2)).transpose(1, 2)
        return normed.transpose(1, 2).reshape(batch, channels, height, width) + x


class Frames(nn.Module):
    """GroupNorm of a video's frames, as video autoencoders have it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, frames, height, width = x.shape
        images = x.permute(0, 2, 1, 3, 4).reshape(batch * frames, channels, height, width)
        return self.norm(images).reshape(batch, frames, channels, height, width)


class Waveform(nn.Module):
    """One group per channel, as wav2vec2's first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 16, 10, stride=5)
        self.norm = nn.GroupNorm(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x[:, None])).relu()


class Tokens(nn.Module):
    """GroupNorm of each token, as RWKV."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, 32, eps=64e-5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, channels = x.shape
        return self.norm((2 * x).view(batch * length, channels)).view(batch, length, channels)


class Heads(nn.Module):
    """GroupNorm with a head as a group and without bias, as xLSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, heads, length, size = x.shape
        rows = x.transpose(1, 2).reshape(batch * length, heads * size)
        normed = nn.functional.group_norm(rows, heads, 1 + self.weight, eps=1e-5)
        return normed.view(batch, length, heads, size).transpose(1, 2)


class Shared(nn.Module):
    """Two norms with the same weight, whose initializer TorchScript's exporter writes once, behind Identity."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.GroupNorm(2, 8)
        self.second = nn.GroupNorm(4, 8)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x).relu())


class Textbook(nn.Module):
    """GroupNorm by hand: the module that many repositories have."""

    def __init__(self, unbiased: bool, blocks: bool = False) -> None:
        super().__init__()
        self.unbiased, self.blocks = unbiased, blocks
        self.weight = nn.Parameter(torch.randn(1, 8, 1, 1))
        self.bias = nn.Parameter(torch.randn(1, 8, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.size()
        if self.blocks:
            x, axes = x.view(batch, 2, channels // 2, height, width), (2, 3, 4)
        else:
            x, axes = x.view(batch, 2, -1), (-1,)
        mean = x.mean(axes, keepdim=True)
        var = x.var(axes, keepdim=True, unbiased=self.unbiased)
        x = (x - mean) / (var + 1e-5).sqrt()
        return x.view(batch, channels, height, width) * self.weight + self.bias


class VarMean(nn.Module):
    """GroupNorm by hand with var_mean, whose mean dynamo writes as a sum by the length."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8))
        self.bias = nn.Parameter(torch.randn(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        rows = x.reshape(batch, 2, -1)
        var, mean = torch.var_mean(rows, dim=-1, keepdim=True)
        y = ((rows - mean) / (var + 1e-5).sqrt()).reshape(batch, channels, height, width)
        return y * self.weight[:, None, None] + self.bias[:, None, None]


class Choice(nn.Module):
    """Norms in the two branches of an If."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.GroupNorm(2, 8)
        self.second = nn.GroupNorm(4, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda x: self.first(x).relu(), lambda x: self.second(x) + 1, (x,))


def torchscript(module: nn.Module, x: torch.Tensor, dynamic: tuple[int, ...] = ()) -> onnx.ModelProto:
    """Export by the older exporter, at opset 17."""
    file = io.BytesIO()
    axes = {"x": {axis: f"d{axis}" for axis in dynamic}}
    names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": axes}
    torch.onnx.export(module, (x,), file, dynamo=False, opset_version=17, **names)
    return onnx.load_from_string(file.getvalue())


def dynamo(module: nn.Module, x: torch.Tensor, dynamic: tuple[int, ...] = ()) -> onnx.ModelProto:
    """Export by the newer exporter, at opset 18."""
    shapes = ({axis: torch.export.Dim.DYNAMIC for axis in dynamic},) if dynamic else None
    names = {"input_names": ["x"], "output_names": ["y"]}
    program = torch.onnx.export(
        module, (x,), dynamo=True, opset_version=18, dynamic_shapes=shapes, verbose=False, **names
    )
    return program.model_proto


def randomized(module: nn.Module) -> nn.Module:
    """Return the module with weights that are not all 1 or 0."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module.eval()


Exported = tuple[onnx.ModelProto, torch.Tensor, torch.Tensor]


def pytorch(
    export: Callable[..., onnx.ModelProto],
    module: nn.Module,
    shape: tuple[int, ...],
    dynamic: dict[int, int] | None = None,
) -> Exported:
    """Export for one shape, with an input in which the dynamic axes have other sizes."""
    dynamic = dynamic or {}
    model = export(randomized(module), torch.randn(shape), tuple(dynamic))
    x = torch.randn([dynamic.get(axis, size) for axis, size in enumerate(shape)]) + 1
    return model, x, module.double()(x.double()).detach()


def keras_model(is_last: bool, *, by_keras: bool) -> Exported:
    """Export Keras's GroupNormalization: by its own `Model.export`, or by PyTorch's newer exporter."""
    shape = (6, 5, 8) if is_last else (8, 6, 5)
    layer = keras.layers.GroupNormalization(groups=2, axis=-1 if is_last else 1)
    source = keras.Input(shape)
    model = keras.Model(source, layer(source))
    for weight in model.weights:
        weight.assign(torch.randn(8))
    x = torch.randn(3 if by_keras else 2, *shape) + 1
    model(x)
    first = x.movedim(-1, 1) if is_last else x
    gamma, beta = (torch.tensor(weight.numpy()).double() for weight in (layer.gamma, layer.beta))
    y = nn.functional.group_norm(first.double(), 2, gamma, beta, layer.epsilon)
    y = y.movedim(1, -1) if is_last else y
    if not by_keras:
        return dynamo(model, x), x, y
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.onnx")
        model.export(path, format="onnx", verbose=False)
        return onnx.load(path), x, y


IMAGE = {0: 3, 2: 7, 3: 4}

SAMPLES: dict[str, Callable[[], Exported]] = {
    "attention-torchscript": lambda: pytorch(torchscript, Attention(), (2, 16, 5, 6), IMAGE),
    "attention-dynamo": lambda: pytorch(dynamo, Attention(), (2, 16, 5, 6), IMAGE),
    "frames-torchscript": lambda: pytorch(torchscript, Frames(), (2, 16, 3, 5, 6), {0: 3, 2: 2, 3: 7, 4: 4}),
    "waveform-dynamo": lambda: pytorch(dynamo, Waveform(), (2, 400)),
    "tokens-torchscript": lambda: pytorch(torchscript, Tokens(), (2, 9, 32), {0: 3, 1: 4}),
    "tokens-dynamo": lambda: pytorch(dynamo, Tokens(), (2, 9, 32)),
    "heads-dynamo": lambda: pytorch(dynamo, Heads(), (2, 4, 9, 8)),
    "shared-torchscript": lambda: pytorch(torchscript, Shared(), (2, 8, 5, 6), IMAGE),
    "textbook-torchscript": lambda: pytorch(torchscript, Textbook(True), (2, 8, 5, 6)),
    "textbook-dynamo": lambda: pytorch(dynamo, Textbook(True), (2, 8, 5, 6)),
    "textbook-biased-torchscript": lambda: pytorch(torchscript, Textbook(False), (2, 8, 5, 6), IMAGE),
    "textbook-biased-dynamo": lambda: pytorch(dynamo, Textbook(False), (2, 8, 5, 6), IMAGE),
    "textbook-blocks-torchscript": lambda: pytorch(torchscript, Textbook(False, True), (2, 8, 5, 6), IMAGE),
    "textbook-blocks-dynamo": lambda: pytorch(dynamo, Textbook(False, True), (2, 8, 5, 6)),
    "textbook-corrected-torchscript": lambda: pytorch(torchscript, Textbook(True), (2, 8, 5, 6), IMAGE),
    "textbook-corrected-dynamo": lambda: pytorch(dynamo, Textbook(True), (2, 8, 5, 6), IMAGE),
    "textbook-var-mean-dynamo": lambda: pytorch(dynamo, VarMean(), (2, 8, 5, 6)),
    "choice-dynamo": lambda: pytorch(dynamo, Choice(), (2, 8, 5, 6)),
    "keras-first": lambda: keras_model(False, by_keras=True),
    "keras-last": lambda: keras_model(True, by_keras=True),
    "keras-first-dynamo": lambda: keras_model(False, by_keras=False),
    "keras-last-dynamo": lambda: keras_model(True, by_keras=False),
}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, make in SAMPLES.items():
        torch.manual_seed(0)
        model, x, y = make()
        content = without_traces(model)
        onnx.checker.check_model(content, full_check=True)
        (FOLDER / f"{name}.onnx").write_bytes(content)
        tensors = save({"x": x.contiguous(), "y": y.contiguous()})
        (FOLDER / f"{name}.safetensors").write_bytes(tensors)
