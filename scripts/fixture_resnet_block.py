"""Parity cases of ResNetBlockGN (graph "resnet-block"): a basic residual block with GroupNorm.

Options are {inChannels, outChannels, stride, numGroups, dims}; x is (N, inChannels, H, W), or
(N, inChannels, D, H, W) with dims 3.
"""

from __future__ import annotations

from typing import Any

from fixture_case import Case
from fixture_network import network_case, random_draw, random_spatial, random_statistics
from fixture_values import Shape, integers, normal, uniform
from torch import Tensor, nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}


class ResNetBlockGN(nn.Module):
    """conv 3×3 → GN → ReLU → conv 3×3 → GN → + shortcut → ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        num_groups: int = 32,
        dims: int = 2,
    ) -> None:
        super().__init__()
        conv = CONV[dims]
        self.conv1 = conv(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.gn1 = nn.GroupNorm(num_groups, out_channels)
        self.conv2 = conv(out_channels, out_channels, 3, padding=1, bias=False)
        self.gn2 = nn.GroupNorm(num_groups, out_channels)
        self.relu = nn.ReLU()
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                conv(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.GroupNorm(num_groups, out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.gn1(self.conv1(x)))
        y = self.gn2(self.conv2(y))
        y = self.relu(y + self.shortcut(x))
        return y


def resnet_block_case(
    name: str,
    shape: Shape,
    out_channels: int,
    num_groups: int,
    description: str,
    *,
    stride: int = 1,
    **values: Any,
) -> Case:
    """One block on x of this shape; `values` are network_case's x and counter."""
    in_channels, dims = shape[1], len(shape) - 2
    options: dict[str, int | float | bool] = {
        "inChannels": in_channels,
        "outChannels": out_channels,
        "stride": stride,
        "numGroups": num_groups,
        "dims": dims,
    }
    return network_case(
        "resnet-block",
        name,
        description,
        options,
        lambda: ResNetBlockGN(in_channels, out_channels, stride, num_groups, dims),
        shape,
        **values,
    )


def resnet_block_cases() -> list[Case]:
    return [*_shortcut_cases(), *_size_cases(), *_value_cases(), *_volume_cases()]


def _shortcut_cases() -> list[Case]:
    case = resnet_block_case
    return [
        case("identity", (2, 16, 9, 11), 16, 4, "The shortcut is the identity."),
        case("projected-channels", (2, 8, 10, 12), 16, 4, "Other channels, stride 1."),
        case("projected-stride", (2, 16, 12, 8), 16, 4, "The same channels, stride 2.", stride=2),
        case("projected-fewer", (1, 16, 6, 9), 8, 4, "Fewer channels out than in."),
        case("default-groups", (1, 32, 7, 10), 64, 32, "32 groups, as in a ResNet.", stride=2),
        case("one-group", (2, 8, 7, 9), 8, 1, "G = 1."),
        case("one-channel-per-group", (2, 12, 7, 9), 12, 12, "G = C."),
        case(
            "counter", (1, 16, 9, 14), 32, 8, "Parameters from the counter.", stride=2, counter=True
        ),
    ]


def _size_cases() -> list[Case]:
    case = resnet_block_case
    return [
        case("stride-2-odd", (2, 8, 13, 9), 16, 8, "Stride 2 on odd sizes.", stride=2),
        case("stride-2-mixed", (1, 8, 14, 9), 8, 4, "Stride 2: one size even, one odd.", stride=2),
        case("stride-2-one-row", (2, 8, 1, 11), 16, 4, "Stride 2 on a single row.", stride=2),
        case("stride-3", (1, 6, 11, 13), 9, 3, "Stride 3.", stride=3),
        case("wide", (1, 8, 5, 37), 8, 2, "Far wider than high."),
        case("high", (1, 8, 37, 5), 16, 2, "Far higher than wide.", stride=2),
        case("spatial-1", (3, 8, 1, 1), 16, 2, "Spatial size 1: all taps but one see padding."),
        case("batch-0", (0, 4, 5, 7), 8, 2, "An empty batch gives an empty output."),
    ]


def _value_cases() -> list[Case]:
    pixels = integers(0, 256)

    def case(name: str, shape: Shape, description: str, **options: Any) -> Case:
        return resnet_block_case(name, shape, 8, 4, description, **options)

    return [
        case("pixels-0-1", (1, 3, 17, 15), "An image from 0 to 1.", stride=2, x=uniform(0, 1)),
        case("pixels-0-255", (1, 3, 15, 17), "An image from 0 to 255.", stride=2, x=pixels),
        case("identity-pixels-0-255", (1, 8, 9, 7), "The shortcut adds up to 255.", x=pixels),
        case("mean-100", (2, 8, 8, 10), "Mean 100.", x=normal(100.0)),
        case("low-contrast", (2, 4, 8, 10), "Deviation 3e-3: eps counts.", x=normal(0.0, 3e-3)),
    ]


def _volume_cases() -> list[Case]:
    def case(name: str, shape: Shape, description: str, **options: Any) -> Case:
        return resnet_block_case(name, shape, 8, 4, description, **options)

    scan = uniform(0, 1)
    return [
        case("3d-identity", (2, 8, 4, 5, 6), "A volume, identity."),
        case("3d-projected", (1, 1, 6, 9, 7), "A scan of one channel.", x=scan),
        case("3d-stride-2-odd", (2, 4, 5, 9, 7), "A volume, stride 2 on odd sizes.", stride=2),
        case("3d-one-slice", (1, 4, 1, 9, 8), "A single slice or frame.", stride=2),
    ]


def random_resnet_block_cases(count: int, seed: int) -> list[Case]:
    """Cases nobody has tuned anything to; the same seed gives the same cases."""
    return [_random_case(index, seed) for index in range(count)]


def _random_case(index: int, seed: int) -> Case:
    name, rng = random_draw("resnet-block", index, seed)
    dims, batch, num_groups = rng.choice([2, 2, 3]), rng.randint(1, 3), rng.choice([1, 2, 3, 4, 8])
    stride, out_channels = rng.choice([1, 1, 2, 2, 3]), num_groups * rng.randint(1, 4)
    in_channels = out_channels if rng.random() < 0.5 else rng.randint(1, 24)
    spatial = random_spatial(rng, dims, out_channels // num_groups, stride)
    statistics, x = random_statistics(rng)
    return resnet_block_case(
        name,
        (batch, in_channels, *spatial),
        out_channels,
        num_groups,
        f"Random case {index} of seed {seed}: {statistics}.",
        stride=stride,
        x=x,
        counter=rng.random() < 0.25,
    )
