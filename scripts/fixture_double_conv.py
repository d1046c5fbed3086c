"""Parity cases of DoubleConvGN (graph "double-conv"): a U-Net's stage with GroupNorm.

Options are {inChannels, outChannels, numGroups, dims}; x is (N, inChannels, H, W), or
(N, inChannels, D, H, W) with dims 3.
"""

from __future__ import annotations

from typing import Any

from fixture_case import Case
from fixture_network import network_case, random_draw, random_spatial, random_statistics
from fixture_resnet_block import CONV
from fixture_values import Shape, integers, normal, uniform
from torch import Tensor, nn


class DoubleConvGN(nn.Module):
    """Twice conv 3×3 → GN → ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, num_groups: int = 8, dims: int = 2
    ) -> None:
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

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.double_conv(x)
        return y


def double_conv_case(
    name: str, shape: Shape, out_channels: int, num_groups: int, description: str, **values: Any
) -> Case:
    """One DoubleConvGN on x of this shape; `values` are network_case's x and counter."""
    in_channels, dims = shape[1], len(shape) - 2
    options: dict[str, int | float | bool] = {
        "inChannels": in_channels,
        "outChannels": out_channels,
        "numGroups": num_groups,
        "dims": dims,
    }
    return network_case(
        "double-conv",
        name,
        description,
        options,
        lambda: DoubleConvGN(in_channels, out_channels, num_groups, dims),
        shape,
        **values,
    )


def double_conv_cases() -> list[Case]:
    case = double_conv_case
    pixels, scan = integers(0, 256), uniform(0, 1)
    return [
        case("image", (2, 3, 12, 10), 16, 8, "An image of three channels."),
        case("default-groups", (1, 3, 8, 12), 64, 8, "The first stage of UNetGN."),
        case("odd-sizes", (2, 3, 7, 13), 16, 4, "Odd sizes."),
        case("fewer-channels", (1, 24, 6, 10), 12, 4, "Fewer channels out, as on the way up."),
        case("wide", (1, 4, 3, 41), 8, 2, "Far wider than high."),
        case("spatial-1", (3, 4, 1, 1), 32, 4, "Spatial size 1: all taps but one see padding."),
        case("one-group", (2, 5, 8, 9), 10, 1, "G = 1."),
        case("one-channel-per-group", (2, 5, 8, 9), 10, 10, "G = C."),
        case("pixels-0-1", (1, 3, 15, 11), 16, 8, "An image from 0 to 1.", x=uniform(0, 1)),
        case("pixels-0-255", (1, 3, 11, 15), 16, 8, "An image from 0 to 255.", x=pixels),
        case("mean-100", (2, 4, 8, 10), 8, 4, "Mean 100.", x=normal(100.0)),
        case(
            "low-contrast", (2, 4, 8, 10), 8, 4, "Deviation 3e-3: eps counts.", x=normal(0.0, 3e-3)
        ),
        case("counter", (1, 8, 10, 6), 32, 8, "Parameters from the counter.", counter=True),
        case("3d", (2, 2, 4, 6, 5), 8, 4, "A volume."),
        case("3d-odd-sizes", (1, 1, 5, 9, 7), 16, 8, "A scan of odd sizes.", x=scan),
        case("3d-one-slice", (1, 1, 1, 9, 8), 8, 2, "A single slice.", x=scan),
    ]


def random_double_conv_cases(count: int, seed: int) -> list[Case]:
    """Cases nobody has tuned anything to; the same seed gives the same cases."""
    return [_random_case(index, seed) for index in range(count)]


def _random_case(index: int, seed: int) -> Case:
    name, rng = random_draw("double-conv", index, seed)
    dims, num_groups = rng.choice([2, 2, 3]), rng.choice([1, 2, 3, 4, 8])
    channels_per_group = rng.randint(1, 4)
    spatial = random_spatial(rng, dims, channels_per_group)
    statistics, x = random_statistics(rng)
    return double_conv_case(
        name,
        (rng.randint(1, 3), rng.randint(1, 24), *spatial),
        num_groups * channels_per_group,
        num_groups,
        f"Random case {index} of seed {seed}: {statistics}.",
        x=x,
        counter=rng.random() < 0.25,
    )
