"""Export a U-Net of diffusers with PyTorch's exporters and with optimum, for unet-peers.ts.

    python scripts/docs/unet_peers.py FOLDER

It writes config.json, weights.safetensors, reference.safetensors (inputs, PyTorch's results, and those in float64),
and one .onnx file for each exporter. Without the package optimum-onnx it says so, and leaves that file out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))

# Import this first: it chooses PyTorch's kernels.
from case import stable_hash  # noqa: E402

# isort: split
import torch  # noqa: E402
from diffusers_unets import NamedUNet2DCondition  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch.export import Dim  # noqa: E402
from values import fill_from_counter  # noqa: E402

CONFIG = {
    "block_out_channels": [64, 128, 256],
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    "cross_attention_dim": 256,
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(stable_hash("unet-peers"))
    inputs = {
        "sample": torch.randn(1, 4, 32, 32, generator=generator),
        "timestep": torch.tensor([801]),
        "encoder_hidden_states": torch.randn(1, 77, 256, generator=generator),
    }
    module = NamedUNet2DCondition(**CONFIG).eval()
    module.input_names = tuple(inputs)
    fill_from_counter(module, 1)
    (folder / "config.json").write_text(json.dumps({"_class_name": "UNet2DConditionModel", **CONFIG}))
    save_file(module.state_dict(), folder / "weights.safetensors")
    export(module, inputs, folder)
    with torch.no_grad():
        output = module(*inputs.values())
        truth = module.double()(*(x.double() if x.is_floating_point() else x for x in inputs.values()))
    named = {f"input.{name}": x for name, x in inputs.items()}
    save_file({**named, "output.y": output.contiguous(), "truth.y": truth.contiguous()}, folder / "reference.safetensors")


def export(module: torch.nn.Module, inputs: dict[str, torch.Tensor], folder: Path) -> None:
    arguments = tuple(inputs.values())
    names = {"input_names": list(inputs), "output_names": ["y"]}
    size = {2: 8 * Dim("h"), 3: 8 * Dim("w")}
    torch.onnx.export(
        module, arguments, str(folder / "dynamo.onnx"), dynamo=True, external_data=False, verbose=False,
        dynamic_shapes=((size, None, {1: Dim("s")}),), **names,
    )
    try:
        from optimum.exporters.onnx import export as export_optimum
        from optimum.exporters.onnx.model_configs import UNetOnnxConfig
    except ImportError as error:
        print(f"unet_peers: no optimum: {error}")
        return
    from diffusers import UNet2DConditionModel

    plain = UNet2DConditionModel(**CONFIG, sample_size=32).eval()
    plain.load_state_dict(module.state_dict())
    config = UNetOnnxConfig(plain.config, task="semantic-segmentation")
    export_optimum(plain, config, folder / "optimum.onnx", opset=17)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
