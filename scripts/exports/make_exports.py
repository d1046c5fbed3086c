"""Export public networks with GroupNorm, with random weights, for bench/exports.ts.

    python scripts/exports/make_exports.py FOLDER [NAME ...]

Writes FOLDER/NAME/model.onnx and FOLDER/NAME/tensors.safetensors, which holds `input.*`, `output.*` as PyTorch
computes them in float32, and `truth.*` in float64. A name is MODEL-FORM. The forms are `ts18` and `ts18-any` (the
TorchScript exporter at opset 18, with fixed or dynamic sizes), `dynamo18`, `dynamo21` and `dynamo21-any`. A network
that an exporter cannot export is reported, and left out. Needs requirements.txt of this folder.
"""

from __future__ import annotations

import argparse
import copy
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import without_torchvision  # noqa: F401  timm imports torchvision

Network = tuple[nn.Module, dict[str, Tensor]]


class First(nn.Module):
    """Return the first tensor of what a network returns: a tensor, a tuple, or an output class with fields."""

    def __init__(self, network: nn.Module, **fixed: object) -> None:
        super().__init__()
        self.network = network
        self.fixed = fixed

    def forward(self, *inputs: Tensor) -> Tensor:
        found = self.network(*inputs, **self.fixed)
        while not isinstance(found, Tensor):
            found = found[0]
        return found


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def from_timm(name: str, size: int = 96, **options: object) -> Callable[[], Network]:
    def make() -> Network:
        import timm

        return timm.create_model(name, pretrained=False, **options), {"x": image(1, 3, size, size)}

    return make


def from_smp(name: str, **options: object) -> Callable[[], Network]:
    def make() -> Network:
        import segmentation_models_pytorch as smp

        network = getattr(smp, name)("resnet18", encoder_weights=None, **options)
        return network, {"x": image(1, 3, 96, 96)}

    return make


def unet2d() -> Network:
    from diffusers import UNet2DModel

    network = UNet2DModel(
        sample_size=32, in_channels=3, out_channels=3, block_out_channels=(32, 64, 64), layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    return First(network, return_dict=False), {"x": image(1, 3, 32, 32), "t": torch.tensor([10.0])}


def unet2d_condition() -> Network:
    from diffusers import UNet2DConditionModel

    network = UNet2DConditionModel(
        sample_size=16, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=32,
        attention_head_dim=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    inputs = {"x": image(1, 4, 16, 16), "t": torch.tensor([10.0]), "text": image(1, 8, 32)}
    return First(network, return_dict=False), inputs


class Decoder(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.decode(x, return_dict=False)[0]


def autoencoder_kl() -> Network:
    from diffusers import AutoencoderKL

    network = AutoencoderKL(
        block_out_channels=(32, 64), layers_per_block=1, latent_channels=4, norm_num_groups=16,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    return Decoder(network), {"x": image(1, 4, 24, 24)}


def vae_decoder() -> Network:
    """Return the decoder of Stable Diffusion's autoencoder: 49.5 million parameters."""
    from diffusers import AutoencoderKL

    network = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, norm_num_groups=32,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    return Decoder(network), {"x": image(1, 4, 8, 8)}


def vq_model() -> Network:
    from diffusers import VQModel

    network = VQModel(
        block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=16, latent_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    return First(network.decoder), {"x": image(1, 3, 24, 24)}


def unet1d() -> Network:
    from diffusers import UNet1DModel

    network = UNet1DModel(
        sample_size=256, in_channels=2, out_channels=2, extra_in_channels=64, block_out_channels=(32, 64),
        down_block_types=("DownBlock1DNoSkip", "DownBlock1D"), up_block_types=("UpBlock1D", "UpBlock1DNoSkip"),
    )  # fmt: skip
    return First(network, return_dict=False), {"x": image(1, 2, 256), "t": torch.tensor([10.0])}


def unet3d() -> Network:
    from diffusers import UNet3DConditionModel

    network = UNet3DConditionModel(
        sample_size=16, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=32, attention_head_dim=8,
        norm_num_groups=16, down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
    )  # fmt: skip
    inputs = {"x": image(1, 4, 3, 16, 16), "t": torch.tensor([10.0]), "text": image(1, 8, 32)}
    return First(network, return_dict=False), inputs


def from_transformers(model: str, config: str, inputs: dict[str, Tensor], **options: object) -> Callable[[], Network]:
    def make() -> Network:
        import transformers

        network = getattr(transformers, model)(getattr(transformers, config)(**options))
        return First(network, return_dict=False), inputs

    return make


SPEECH = {"x": image(1, 8000)}
SPEECH_SIZES = dict(
    hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
    num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, attn_implementation="eager",
)  # fmt: skip
PHOTO = {"x": image(1, 3, 96, 96)}


def janus_vq() -> Network:
    import transformers

    config = transformers.JanusVQVAEConfig(
        base_channels=32, channel_multiplier=[1, 2], num_res_blocks=1, embed_dim=8, latent_channels=32,
        double_latent=False, num_embeddings=64,
    )  # fmt: skip
    return First(transformers.JanusVQVAE(config).decoder), {"x": image(1, 32, 16, 16)}


MODELS: dict[str, Callable[[], Network]] = {
    "bit-resnetv2": from_timm("resnetv2_50", layers=(1, 1, 1, 1), norm_layer="groupnorm"),
    "resnet50-gn": from_timm("resnet50_gn"),
    "resnet18-gn": from_timm("resnet18", norm_layer="groupnorm"),
    "efficientnet-gn": from_timm("efficientnet_b0_gn"),
    "poolformer": from_timm("poolformer_s12"),
    "mobilevitv2": from_timm("mobilevitv2_050", size=128),
    "fpn": from_smp("FPN"),
    "unet2d": unet2d,
    "unet2d-condition": unet2d_condition,
    "autoencoder-kl": autoencoder_kl,
    "vae-decoder": vae_decoder,
    "vq-decoder": vq_model,
    "unet1d": unet1d,
    "unet3d": unet3d,
    "wav2vec2": from_transformers("Wav2Vec2Model", "Wav2Vec2Config", SPEECH, **SPEECH_SIZES),
    "hubert": from_transformers("HubertModel", "HubertConfig", SPEECH, **SPEECH_SIZES),
    "wavlm": from_transformers("WavLMModel", "WavLMConfig", SPEECH, **SPEECH_SIZES),
    "bit": from_transformers("BitModel", "BitConfig", PHOTO, depths=[1, 1, 1, 1]),
    "janus-vq": janus_vq,
}

FORMS = ("ts18", "ts18-any", "dynamo18", "dynamo21", "dynamo21-any")


def export(network: nn.Module, inputs: dict[str, Tensor], form: str, path: Path) -> None:
    options: dict[str, object] = {
        "input_names": list(inputs),
        "output_names": ["y"],
        "opset_version": int(form.split("-")[0][-2:]),
        "dynamo": form.startswith("dynamo"),
    }
    is_any = form.endswith("-any")
    dims = {name: [0, *range(2, value.dim())] for name, value in inputs.items() if value.dim() > 1}
    if not options["dynamo"]:
        if is_any:
            options["dynamic_axes"] = {name: {axis: f"{name}{axis}" for axis in axes} for name, axes in dims.items()}
    else:
        options.update(external_data=False, verbose=False, optimize=True)
        if is_any:
            auto = torch.export.Dim.DYNAMIC
            shapes = tuple({axis: auto for axis in dims.get(name, []) if value.shape[axis] > 1} or None
                           for name, value in inputs.items())
            options["dynamic_shapes"] = {"inputs": shapes} if isinstance(network, First) else shapes
    torch.onnx.export(network, tuple(inputs.values()), str(path), **options)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="exports such as bit-dynamo21; all if none is named")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    left_out = 0
    for model, make in MODELS.items():
        forms = [form for form in FORMS if not arguments.names or f"{model}-{form}" in arguments.names]
        if not forms:
            continue
        torch.manual_seed(1)
        try:
            network, inputs = make()
            network.eval()
            scramble(network)
            with torch.no_grad():
                output = network(*inputs.values())
                truth = copy.deepcopy(network).double()(*(as_double(value) for value in inputs.values()))
        except Exception as error:  # another version of the library may lack the network
            left_out += len(forms)
            print(f"{model}: NOT made: {describe(error)}", flush=True)
            continue
        tensors = {f"input.{name}": value.contiguous() for name, value in inputs.items()}
        tensors |= {"output.y": output.contiguous(), "truth.y": truth.contiguous()}
        for form in forms:
            folder = arguments.folder / f"{model}-{form}"
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with torch.no_grad():
                    export(network, inputs, form, folder / "model.onnx")
                save_file(tensors, folder / "tensors.safetensors")
                print(f"{folder.name}: {(folder / 'model.onnx').stat().st_size / 1e6:.1f} MB", flush=True)
            except Exception as error:  # an exporter fails in many ways
                left_out += 1
                print(f"{folder.name}: NOT exported: {describe(error)}", flush=True)
                for file in folder.iterdir():
                    file.unlink()
                folder.rmdir()
    return 1 if left_out else 0


def describe(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:150]}"


def as_double(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value


def scramble(network: nn.Module) -> None:
    """Give norms weights and biases that are not 1 and 0, which exporters and optimizers would leave out."""
    for module in network.modules():
        if isinstance(module, (nn.GroupNorm, nn.LayerNorm)) and module.weight is not None:
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)


if __name__ == "__main__":
    sys.exit(main())
