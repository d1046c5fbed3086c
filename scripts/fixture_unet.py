"""Parity cases of UNetGN (graph "unet").

Options are {inChannels, numClasses, numGroups, width}; x is (N, inChannels, H, W) with H and W
divisible by 16, since the encoder's maps must fit the upsampled ones; y is (N, numClasses, H, W).
"""

from __future__ import annotations

from typing import Any

import torch
from fixture_case import Case
from fixture_double_conv import DoubleConvGN
from fixture_network import network_case, random_draw, random_statistics
from fixture_values import Shape, integers, uniform
from torch import Tensor, nn


class UNetGN(nn.Module):
    def __init__(
        self, in_channels: int = 3, num_classes: int = 2, num_groups: int = 8, width: int = 64
    ) -> None:
        super().__init__()
        w1, w2, w3, w4, w5 = (width * 2**stage for stage in range(5))
        self.enc1 = DoubleConvGN(in_channels, w1, num_groups)
        self.enc2 = DoubleConvGN(w1, w2, num_groups)
        self.enc3 = DoubleConvGN(w2, w3, num_groups)
        self.enc4 = DoubleConvGN(w3, w4, num_groups)
        self.pool = nn.MaxPool2d(2)
        self.bottleneck = DoubleConvGN(w4, w5, num_groups)
        self.upconv4 = nn.ConvTranspose2d(w5, w4, 2, stride=2)
        self.dec4 = DoubleConvGN(w5, w4, num_groups)
        self.upconv3 = nn.ConvTranspose2d(w4, w3, 2, stride=2)
        self.dec3 = DoubleConvGN(w4, w3, num_groups)
        self.upconv2 = nn.ConvTranspose2d(w3, w2, 2, stride=2)
        self.dec2 = DoubleConvGN(w3, w2, num_groups)
        self.upconv1 = nn.ConvTranspose2d(w2, w1, 2, stride=2)
        self.dec1 = DoubleConvGN(w2, w1, num_groups)
        self.out_conv = nn.Conv2d(w1, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        e1 = self.enc1(x)
        e2 = self.enc2(self.pool(e1))
        e3 = self.enc3(self.pool(e2))
        e4 = self.enc4(self.pool(e3))
        y: Tensor = self.bottleneck(self.pool(e4))
        y = self.dec4(torch.cat([self.upconv4(y), e4], dim=1))
        y = self.dec3(torch.cat([self.upconv3(y), e3], dim=1))
        y = self.dec2(torch.cat([self.upconv2(y), e2], dim=1))
        y = self.dec1(torch.cat([self.upconv1(y), e1], dim=1))
        y = self.out_conv(y)
        return y


def unet_case(
    name: str,
    shape: Shape,
    num_classes: int,
    num_groups: int,
    width: int,
    description: str,
    **values: Any,
) -> Case:
    """One UNetGN on x of this shape; `values` are network_case's x and counter."""
    in_channels = shape[1]
    options: dict[str, int | float | bool] = {
        "inChannels": in_channels,
        "numClasses": num_classes,
        "numGroups": num_groups,
        "width": width,
    }
    return network_case(
        "unet",
        name,
        description,
        options,
        lambda: UNetGN(in_channels, num_classes, num_groups, width),
        shape,
        **values,
    )


def unet_cases() -> list[Case]:
    """Three files hold parameters (1.9 MB at width 8); the others have them from the counter."""

    def counted(name: str, *arguments: Any, **options: Any) -> Case:
        return unet_case(name, *arguments, counter=True, **options)

    image, pixels = uniform(0, 1), integers(0, 256)
    return [
        unet_case("width-8", (2, 3, 32, 48), 2, 8, 8, "Width 8, a batch of two, not square."),
        unet_case("one-class", (1, 1, 16, 16), 1, 4, 4, "The smallest input: 1×1 at the bottom."),
        unet_case("five-classes", (2, 3, 48, 16), 5, 1, 4, "Five classes, G = 1.", x=image),
        counted("groups-4", (2, 3, 48, 32), 1, 4, 8, "Width 8 in 4 groups.", x=image),
        counted("pixels-0-255", (1, 3, 32, 64), 5, 8, 8, "An image from 0 to 255.", x=pixels),
        counted("narrow", (1, 3, 16, 112), 2, 8, 8, "A strip of 16 rows.", x=image),
        counted("width-12", (1, 4, 32, 32), 2, 6, 12, "Neither is a power of 2; 4 channels in."),
        counted(
            "full-size", (1, 3, 96, 64), 2, 8, 64, "All defaults: 31 million parameters.", x=image
        ),
    ]


def random_unet_cases(count: int, seed: int) -> list[Case]:
    """Cases nobody has tuned anything to; the same seed gives the same cases."""
    return [_random_case(index, seed) for index in range(count)]


def _random_case(index: int, seed: int) -> Case:
    name, rng = random_draw("unet", index, seed)
    num_groups = rng.choice([1, 2, 3, 4, 8])
    width = num_groups * rng.randint(1, 12 // num_groups)
    spatial = 16 * rng.randint(1, 4), 16 * rng.randint(1, 4)
    statistics, x = random_statistics(rng)
    return unet_case(
        name,
        (rng.randint(1, 3), rng.randint(1, 4), *spatial),
        rng.randint(1, 6),
        num_groups,
        width,
        f"Random case {index} of seed {seed}: {statistics}.",
        x=x,
        # Beyond width 4 the parameters would be most of a megabyte and more.
        counter=width > 4,
    )
