"""Parity cases of DetectionBackbone (graph "detection-backbone"): a ResNet with GN and an FPN.

Options are {numGroups, width, fpnChannels}; x is (N, 3, H, W), the outputs p3, p4 and p5 are
(N, fpnChannels, ·, ·) at an 8th, a 16th and a 32nd of the size. Sizes must be such that every
map is twice the next: divisible by 32, or up to 3 below that, since strides round up.
"""

from __future__ import annotations

from typing import Any

from fixture_case import Case
from fixture_network import network_case, random_draw, random_statistics
from fixture_resnet_block import ResNetBlockGN
from fixture_values import Shape, integers, uniform
from torch import Tensor, nn
from torch.nn.functional import interpolate


class DetectionBackbone(nn.Module):
    def __init__(self, num_groups: int = 32, width: int = 64, fpn_channels: int = 256) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
            nn.GroupNorm(num_groups, width),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.layer2 = _stage(width, num_groups)
        self.layer3 = _stage(2 * width, num_groups)
        self.layer4 = _stage(4 * width, num_groups)
        self.lateral4 = nn.Conv2d(8 * width, fpn_channels, 1)
        self.lateral3 = nn.Conv2d(4 * width, fpn_channels, 1)
        self.lateral2 = nn.Conv2d(2 * width, fpn_channels, 1)
        self.fpn_conv = nn.Conv2d(fpn_channels, fpn_channels, 3, padding=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        c2 = self.layer2(self.layer1(x))
        c3 = self.layer3(c2)
        c4 = self.layer4(c3)
        p5 = self.lateral4(c4)
        p4 = self.lateral3(c3) + interpolate(p5, scale_factor=2, mode="nearest")
        p3 = self.lateral2(c2) + interpolate(p4, scale_factor=2, mode="nearest")
        return {"p3": self.fpn_conv(p3), "p4": self.fpn_conv(p4), "p5": self.fpn_conv(p5)}


def _stage(in_channels: int, num_groups: int) -> nn.Sequential:
    """Two blocks that halve the size and double the channels."""
    channels = 2 * in_channels
    return nn.Sequential(
        ResNetBlockGN(in_channels, channels, 2, num_groups),
        ResNetBlockGN(channels, channels, 1, num_groups),
    )


def detection_backbone_case(
    name: str,
    shape: Shape,
    num_groups: int,
    width: int,
    fpn_channels: int,
    description: str,
    **values: Any,
) -> Case:
    """One DetectionBackbone on x of this shape; `values` are network_case's x and counter."""
    options: dict[str, int | float | bool] = {
        "numGroups": num_groups,
        "width": width,
        "fpnChannels": fpn_channels,
    }
    return network_case(
        "detection-backbone",
        name,
        description,
        options,
        lambda: DetectionBackbone(num_groups, width, fpn_channels),
        shape,
        **values,
    )


def detection_backbone_cases() -> list[Case]:
    """Two files hold parameters (0.7 MB at width 8); the others have them from the counter."""
    case = detection_backbone_case

    def counted(name: str, *arguments: Any, **options: Any) -> Case:
        return case(name, *arguments, counter=True, **options)

    image, pixels = uniform(0, 1), integers(0, 256)
    return [
        case("width-8", (1, 3, 64, 96), 8, 8, 16, "Width 8, not square.", x=image),
        case("odd-sizes", (2, 3, 61, 31), 4, 8, 32, "Every stride rounds up.", x=image),
        counted("smallest", (2, 3, 32, 32), 8, 8, 16, "p5 is of size 1×1."),
        counted("one-group", (1, 3, 96, 32), 1, 8, 16, "G = 1, higher than wide."),
        counted("width-16", (1, 3, 96, 64), 16, 16, 24, "An image from 0 to 255.", x=pixels),
        counted("full-size", (1, 3, 64, 96), 32, 64, 256, "All defaults: 12 million parameters."),
    ]


def random_detection_backbone_cases(count: int, seed: int) -> list[Case]:
    """Cases nobody has tuned anything to; the same seed gives the same cases."""
    return [_random_case(index, seed) for index in range(count)]


def _random_case(index: int, seed: int) -> Case:
    name, rng = random_draw("detection-backbone", index, seed)
    num_groups = rng.choice([1, 2, 3, 4, 8])
    width = num_groups * rng.randint(1, 16 // num_groups)
    spatial = [32 * rng.randint(1, 4) - rng.choice([0, 0, rng.randint(1, 3)]) for _ in range(2)]
    statistics, x = random_statistics(rng)
    return detection_backbone_case(
        name,
        (rng.randint(1, 3), 3, *spatial),
        num_groups,
        width,
        rng.randint(1, 40),
        f"Random case {index} of seed {seed}: {statistics}.",
        x=x,
        # Beyond width 4 the parameters would be most of a file.
        counter=width > 4,
    )
