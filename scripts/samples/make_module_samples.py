"""Write test/samples/modules: exports of two networks, and what each of their modules returns; and a fixture with the
same of a network of the registry.

    python scripts/samples/make_module_samples.py

The activations are saved by the function of docs/compare.md. The same versions give the same bytes; last run:
torch 2.13.0, onnxscript 0.7.2, onnx 1.23.2 (scripts/requirements.txt).
"""

import io
import json
import sys
from pathlib import Path

import onnx
import torch
from safetensors.torch import load_file, save_file
from save_activations import save_activations
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parents[1] / "fixtures"))

from resnet import ResNetBlockGN  # noqa: E402

FOLDER = Path(__file__).resolve().parents[2] / "test" / "samples" / "modules"


class Block(nn.Module):
    """Calls one ReLU twice, adds in place, and activates by a module of the network."""

    def __init__(self, gate: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.bn1 = nn.GroupNorm(2, 4)
        self.conv2 = nn.Conv2d(4, 4, 1)
        self.bn2 = nn.GroupNorm(1, 4)
        self.relu = nn.ReLU(inplace=True)
        self.gates = [gate]

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x
        return self.gates[0](self.relu(y))


class Halves(nn.Module):
    """Returns two tensors."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.chunk(2, 1)
        return first, second * 2


class Alone(nn.Module):
    """Returns a tuple of one tensor and None, as attention modules do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return self.conv_1(x).sigmoid(), None


class Network(nn.Module):
    """Modules in Sequential, ModuleList and ModuleDict, called once and more often, and by others than their parent."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.SiLU()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.GroupNorm(2, 4), nn.SiLU()))
        self.layers = nn.ModuleList([Block(self.gate), Block(self.gate)])
        self.shared = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Tanh())
        self.alone = Alone()
        self.halves = Halves()
        self.heads = nn.ModuleDict({"a": nn.Linear(2, 5), "b": nn.Linear(2, 3)})
        self.drop = nn.Dropout()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        x, _ = self.alone(self.shared(self.shared(x)))
        first, second = self.halves(x)
        pooled = self.drop((first * second).mean((2, 3)))
        return self.heads["a"](pooled), self.heads["b"](pooled).relu()


class Folded(nn.Module):
    """BatchNorm, which exporters fold into the convolution before it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.act1 = nn.ReLU(inplace=True)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv1(x)))
        return (self.block(x) + x).mean((2, 3))


def export(module: nn.Module, x: Tensor, outputs: list[str], dynamo: bool, opset: int) -> onnx.ModelProto:
    names = {"input_names": ["x"], "output_names": outputs, "opset_version": opset}
    if dynamo:
        return torch.onnx.export(module, (x,), dynamo=True, verbose=False, **names).model_proto
    file = io.BytesIO()
    torch.onnx.export(module, (x,), file, dynamo=False, **names)
    return onnx.load_from_string(file.getvalue())


def without_traces(model: onnx.ModelProto) -> bytes:
    """Return the bytes of a model with only the modules of the exporter's notes: others hold paths of this machine."""
    for message in (model, model.graph, *model.graph.input, *model.graph.output, *model.graph.value_info):
        message.ClearField("metadata_props")
    for initializer in model.graph.initializer:
        initializer.ClearField("metadata_props")
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"]
        kept = [(entry.key, entry.value) for entry in kept]
        node.ClearField("metadata_props")
        for key, value in kept:
            node.metadata_props.add(key=key, value=value)
        node.ClearField("doc_string")
    return model.SerializeToString(deterministic=True)


def randomized(module: nn.Module) -> nn.Module:
    """Return the module with weights and statistics that are not all 1 or 0."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
        for name, buffer in module.named_buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 2)
    return module.eval()


def write_fixture(path: Path) -> None:
    """Write a fixture of a residual block with its activations."""
    torch.manual_seed(0)
    options = {"in_channels": 4, "out_channels": 8, "num_groups": 2}
    block, x = randomized(ResNetBlockGN(**options)), torch.randn(1, 4, 5, 5)
    save_activations(block, {"x": x}, path)
    activations = {f"activation.{name}": tensor for name, tensor in load_file(path).items() if name != "input.x"}
    tensors = {"input.x": x, "output.y": activations.pop("activation.output"), **activations}
    tensors |= {f"state_dict.{key}": value for key, value in block.state_dict().items()}
    camel = {"inChannels": 4, "outChannels": 8, "numGroups": 2}
    metadata = {"graph": "resnet-block", "options": json.dumps(camel), "framework": f"torch {torch.__version__}"}
    save_file(tensors, path, metadata)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    write_fixture(FOLDER / "fixture.safetensors")
    FORMS = [(False, 13), (False, 17), (True, 18), (True, 21), (True, 22)]
    for network, outputs in ((Network, ["a", "b"]), (Folded, ["y"])):
        torch.manual_seed(0)
        module, x = randomized(network()), torch.randn(2, 3, 6, 6)
        name = network.__name__.lower()
        for dynamo, opset in FORMS if network is Network else FORMS[1:3]:
            content = without_traces(export(module, x, outputs, dynamo, opset))
            form = f"{'dynamo' if dynamo else 'torchscript'}{opset}"
            (FOLDER / f"{name}-{form}.onnx").write_bytes(content)
        save_activations(module, {"x": x}, FOLDER / f"{name}.safetensors")
