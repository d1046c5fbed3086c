"""Write test/fixtures/state-dict-keys.json: the state_dict keys and shapes of real PyTorch modules.

    python scripts/samples/make_state_dict_keys.py

The modules follow the description of each graph, independently of the parity fixtures, so that a wrong name goes
unnoticed only if it is written twice. They have no forward and live on the meta device, because only names and shapes
are needed. The networks of diffusers and timm are their own. Last run: torch 2.13.0, diffusers 0.42.1, timm 1.0.31.
"""

from __future__ import annotations

import json
from pathlib import Path

import timm
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, UNet2DModel
from timm.models.resnet import BasicBlock
from timm.models.resnetv2 import ResNetV2
from torch import nn

TARGET = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "state-dict-keys.json"
CONV = {2: nn.Conv2d, 3: nn.Conv3d}


class ResNetBlockGN(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, num_groups=32, dims=2):
        super().__init__()
        conv = CONV[dims]
        self.conv1 = conv(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.gn1 = nn.GroupNorm(num_groups, out_channels)
        self.conv2 = conv(out_channels, out_channels, 3, padding=1, bias=False)
        self.gn2 = nn.GroupNorm(num_groups, out_channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                conv(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.GroupNorm(num_groups, out_channels),
            )


class DoubleConvGN(nn.Module):
    def __init__(self, in_channels, out_channels, num_groups=8, dims=2):
        super().__init__()
        conv = CONV[dims]
        self.double_conv = nn.Sequential(
            conv(in_channels, out_channels, 3, padding=1, bias=False),
            nn.GroupNorm(num_groups, out_channels),
            nn.ReLU(),
            conv(out_channels, out_channels, 3, padding=1, bias=False),
            nn.GroupNorm(num_groups, out_channels),
            nn.ReLU(),
        )


class UNetGN(nn.Module):
    def __init__(self, in_channels=3, num_classes=2, num_groups=8, width=64):
        super().__init__()
        w = [width, 2 * width, 4 * width, 8 * width, 16 * width]
        self.enc1 = DoubleConvGN(in_channels, w[0], num_groups)
        self.enc2 = DoubleConvGN(w[0], w[1], num_groups)
        self.enc3 = DoubleConvGN(w[1], w[2], num_groups)
        self.enc4 = DoubleConvGN(w[2], w[3], num_groups)
        self.bottleneck = DoubleConvGN(w[3], w[4], num_groups)
        self.upconv4 = nn.ConvTranspose2d(w[4], w[3], 2, stride=2)
        self.dec4 = DoubleConvGN(w[4], w[3], num_groups)
        self.upconv3 = nn.ConvTranspose2d(w[3], w[2], 2, stride=2)
        self.dec3 = DoubleConvGN(w[3], w[2], num_groups)
        self.upconv2 = nn.ConvTranspose2d(w[2], w[1], 2, stride=2)
        self.dec2 = DoubleConvGN(w[2], w[1], num_groups)
        self.upconv1 = nn.ConvTranspose2d(w[1], w[0], 2, stride=2)
        self.dec1 = DoubleConvGN(w[1], w[0], num_groups)
        self.out_conv = nn.Conv2d(w[0], num_classes, 1)


class DetectionBackboneGN(nn.Module):
    def __init__(self, num_groups=32, width=64, fpn_channels=256):
        super().__init__()
        w = [width, 2 * width, 4 * width, 8 * width]
        self.layer1 = nn.Sequential(
            nn.Conv2d(3, w[0], 7, stride=2, padding=3, bias=False),
            nn.GroupNorm(num_groups, w[0]),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.layer2 = self._stage(w[0], w[1], num_groups)
        self.layer3 = self._stage(w[1], w[2], num_groups)
        self.layer4 = self._stage(w[2], w[3], num_groups)
        self.lateral4 = nn.Conv2d(w[3], fpn_channels, 1)
        self.lateral3 = nn.Conv2d(w[2], fpn_channels, 1)
        self.lateral2 = nn.Conv2d(w[1], fpn_channels, 1)
        self.fpn_conv = nn.Conv2d(fpn_channels, fpn_channels, 3, padding=1)

    @staticmethod
    def _stage(in_channels, out_channels, num_groups):
        return nn.Sequential(
            ResNetBlockGN(in_channels, out_channels, 2, num_groups),
            ResNetBlockGN(out_channels, out_channels, 1, num_groups),
        )


def autoencoder_kl(part="autoencoder", **config):
    vae = AutoencoderKL(**config)
    if part == "decoder":
        del vae.encoder, vae.quant_conv
    return vae


def resnet_gn(block=None, **options):
    blocks = {"block": BasicBlock} if block == "basic" else {}
    return timm.create_model("resnet50_gn", **blocks, **options)


def resnetv2_bit(**options):
    return ResNetV2(**options) if options else timm.create_model("resnetv2_50x1_bit")


MODULES = {
    "group-norm": nn.GroupNorm,
    "resnet-block": ResNetBlockGN,
    "double-conv": DoubleConvGN,
    "unet": UNetGN,
    "detection-backbone": DetectionBackboneGN,
    "autoencoder-kl": autoencoder_kl,
    "resnet-gn": resnet_gn,
    "resnetv2-bit": resnetv2_bit,
    "unet-2d": UNet2DModel,
    "unet-2d-condition": UNet2DConditionModel,
}

DOWN, UP = "DownEncoderBlock2D", "UpDecoderBlock2D"
# Stable Diffusion 1, and half of Stable Diffusion 3 with attention at each level.
SD_1 = {
    "blockOutChannels": [128, 256, 512, 512],
    "downBlockTypes": [DOWN] * 4,
    "layersPerBlock": 2,
    "upBlockTypes": [UP] * 4,
}
SD_3 = {
    "part": "decoder",
    **SD_1,
    "latentChannels": 16,
    "upBlockTypes": ["AttnUpDecoderBlock2D"] * 4,
    "usePostQuantConv": False,
}

# Every option away from its default, and the full-size networks.
Options = dict[str, int | bool | str | list[int] | list[str]]
CASES: list[tuple[str, Options]] = [
    ("group-norm", {"numGroups": 2, "numChannels": 6}),
    ("group-norm", {"numGroups": 2, "numChannels": 6, "affine": False}),
    ("resnet-block", {"inChannels": 64, "outChannels": 64}),
    ("resnet-block", {"inChannels": 64, "outChannels": 64, "stride": 2}),
    ("resnet-block", {"inChannels": 6, "outChannels": 12, "numGroups": 4}),
    ("resnet-block", {"inChannels": 8, "outChannels": 8, "numGroups": 4, "dims": 3}),
    ("resnet-block", {"inChannels": 6, "outChannels": 8, "numGroups": 4, "stride": 2, "dims": 3}),
    ("double-conv", {"inChannels": 3, "outChannels": 16}),
    ("double-conv", {"inChannels": 5, "outChannels": 12, "numGroups": 4}),
    ("double-conv", {"inChannels": 1, "outChannels": 8, "dims": 3}),
    ("unet", {}),
    ("unet", {"inChannels": 1, "numClasses": 5, "numGroups": 4, "width": 12}),
    ("detection-backbone", {}),
    ("detection-backbone", {"numGroups": 4, "width": 8, "fpnChannels": 10}),
    ("autoencoder-kl", SD_1),
    ("autoencoder-kl", SD_3),
    ("resnet-gn", {}),
    (
        "resnet-gn",
        {
            "block": "basic",
            "layers": [1, 1, 2, 1],
            "stemType": "deep_tiered",
            "stemWidth": 128,
            "replaceStemPool": True,
            "avgDown": True,
            "numClasses": 0,
        },
    ),
    ("resnetv2-bit", {}),
    ("resnetv2-bit", {"layers": [1, 2], "channels": [256, 512], "stemType": "deep_fixed", "widthFactor": 2}),
    ("unet-2d", {"layersPerBlock": 1}),
    (
        "unet-2d-condition",
        {
            "blockOutChannels": [32, 64, 128],
            "downBlockTypes": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "upBlockTypes": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            "layersPerBlock": [1, 1, 2],
            "attentionHeadDim": [1, 2, 4],
            "transformerLayersPerBlock": [1, 1, 2],
            "crossAttentionDim": [48, 48, 48],
            "useLinearProjection": True,
            "timeCondProjDim": 6,
            "additionEmbedType": "text_time",
            "additionTimeEmbedDim": 8,
            "projectionClassEmbeddingsInputDim": 80,
            "numClassEmbeds": 5,
        },
    ),
]


def snake_case(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def state_dict_of(graph: str, options: Options) -> dict[str, list[int]]:
    with torch.device("meta"):
        module = MODULES[graph](**{snake_case(name): value for name, value in options.items()})
    return {key: list(value.shape) for key, value in module.state_dict().items()}


def main() -> None:
    lines = []
    for graph, options in CASES:
        head = f'{{"graph": {json.dumps(graph)}, "options": {json.dumps(options)}, "stateDict": {{'
        entries = [f"  {json.dumps(key)}: {shape}" for key, shape in state_dict_of(graph, options).items()]
        lines.append("\n".join([head, ",\n".join(entries), "}}"]))
    TARGET.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
