"""Generate fluorescence-like images of cells, and the masks of the cells, for the demo.

Cells are irregular ellipses with soft edges and a nucleus, of any brightness; many of them touch.
A threshold cannot separate them from the rest: a background that brightens to one side, light
from out of focus, bright debris that is too small for a cell, and noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

CYTOPLASM = torch.tensor([0.16, 0.85, 0.45])
NUCLEUS = torch.tensor([0.25, 0.35, 0.95])
DEBRIS = torch.tensor([0.95, 0.55, 0.30])
HAZE = torch.tensor([0.25, 0.70, 0.55])


@dataclass(frozen=True)
class Sample:
    image: Tensor
    """(3, H, W), uint8."""
    mask: Tensor
    """(H, W), int64: 1 in a cell, 0 elsewhere."""


class Draw:
    """Draws random numbers from one generator."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=self.generator).item()

    def integer(self, low: int, high: int) -> int:
        """Draw an integer from low to high, both included."""
        return int(torch.randint(low, high + 1, (), generator=self.generator).item())

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.generator)


@dataclass(frozen=True)
class Blob:
    """An ellipse whose radius varies with the angle."""

    y: float
    x: float
    radius: float
    squeeze: float
    angle: float
    waves: tuple[tuple[int, float, float], ...]

    def depth(self, yy: Tensor, xx: Tensor) -> Tensor:
        """Return about how many pixels each point is inside the outline; negative outside."""
        dy, dx = yy - self.y, xx - self.x
        along = (dx * math.cos(self.angle) + dy * math.sin(self.angle)) / self.squeeze
        across = (dy * math.cos(self.angle) - dx * math.sin(self.angle)) * self.squeeze
        theta = torch.atan2(across, along)
        edge = sum(a * torch.cos(k * theta + phase) for k, a, phase in self.waves)
        return self.radius * (1 + edge) - torch.hypot(along, across)


def generate(height: int, width: int, generator: torch.Generator) -> Sample:
    """Return one image with its mask."""
    draw = Draw(generator)
    yy, xx = torch.meshgrid(
        torch.arange(height).float(), torch.arange(width).float(), indexing="ij"
    )
    light = _background(draw, yy, xx)
    mask = torch.zeros(height, width, dtype=torch.bool)
    for blob in _place_cells(draw, height, width):
        cell, inside = _cell(draw, blob, yy, xx)
        # Where cells overlap, only the brighter cell shows.
        light = torch.where(inside > 0.5, torch.maximum(light, cell), light + cell * inside)
        mask |= blob.depth(yy, xx) > 0
    for _ in range(draw.integer(height * width // 3000, height * width // 1000)):
        light = light + _debris(draw, yy, xx)
    return Sample(_expose(draw, light), mask.long())


def _background(draw: Draw, yy: Tensor, xx: Tensor) -> Tensor:
    """Return a dark field, brighter to one side, with a few clouds of light from out of focus."""
    height, width = yy.shape
    angle = draw.uniform(0, 2 * math.pi)
    slope = (yy / height - 0.5) * math.sin(angle) + (xx / width - 0.5) * math.cos(angle)
    field = draw.uniform(0.03, 0.09) + draw.uniform(0.02, 0.10) * (slope + 0.5)
    tint = torch.tensor([0.55, 0.8, 1.2])[:, None, None]
    light = tint * field
    for _ in range(draw.integer(1, 1 + height * width // 6000)):
        y, x = draw.uniform(0, height), draw.uniform(0, width)
        spread = draw.uniform(9, 20)
        cloud = torch.exp(-((yy - y) ** 2 + (xx - x) ** 2) / (2 * spread**2))
        light = light + draw.uniform(0.06, 0.22) * cloud * HAZE[:, None, None]
    return light


def _place_cells(draw: Draw, height: int, width: int) -> list[Blob]:
    """Place some cells anywhere, and the others beside an earlier cell so that they touch."""
    cells: list[Blob] = []
    wanted = draw.integer(height * width // 1500, height * width // 800)
    for _ in range(20 * wanted):
        if len(cells) == wanted:
            break
        blob = _blob(draw, height, width, draw.uniform(6, 12))
        if cells and draw.uniform(0, 1) < 0.5:
            blob = _beside(draw, cells[draw.integer(0, len(cells) - 1)], blob)
        # Cells may touch or overlap a little, but not cover each other.
        if all(
            math.hypot(c.y - blob.y, c.x - blob.x) > 0.85 * (c.radius + blob.radius) for c in cells
        ):
            cells.append(blob)
    return cells


def _blob(draw: Draw, height: int, width: int, radius: float) -> Blob:
    waves = tuple(
        (k, draw.uniform(0, 0.18) / k, draw.uniform(0, 2 * math.pi)) for k in (2, 3, 4, 5)
    )
    return Blob(
        y=draw.uniform(0, height),
        x=draw.uniform(0, width),
        radius=radius,
        squeeze=draw.uniform(1.0, 1.25),
        angle=draw.uniform(0, math.pi),
        waves=waves,
    )


def _beside(draw: Draw, other: Blob, blob: Blob) -> Blob:
    distance = (other.radius + blob.radius) * draw.uniform(0.87, 1.02)
    direction = draw.uniform(0, 2 * math.pi)
    y, x = other.y + distance * math.sin(direction), other.x + distance * math.cos(direction)
    return Blob(y, x, blob.radius, blob.squeeze, blob.angle, blob.waves)


def _cell(draw: Draw, blob: Blob, yy: Tensor, xx: Tensor) -> tuple[Tensor, Tensor]:
    """Return (its light, how much of each pixel it covers), with an edge of random sharpness."""
    depth = blob.depth(yy, xx)
    inside = torch.sigmoid(depth / draw.uniform(0.5, 1.3))
    dome = 0.6 + 0.4 * (depth / blob.radius).clamp(0, 1).sqrt()
    brightness = draw.uniform(0.22, 0.85)
    nucleus = Blob(
        blob.y + draw.uniform(-0.2, 0.2) * blob.radius,
        blob.x + draw.uniform(-0.2, 0.2) * blob.radius,
        blob.radius * draw.uniform(0.38, 0.5),
        blob.squeeze,
        blob.angle,
        blob.waves,
    )
    core = torch.sigmoid(nucleus.depth(yy, xx) / 0.9) * draw.uniform(0.5, 1.0)
    colour = CYTOPLASM[:, None, None] * (1 - 0.6 * core) + NUCLEUS[:, None, None] * core
    return brightness * dome * colour, inside


def _debris(draw: Draw, yy: Tensor, xx: Tensor) -> Tensor:
    """Return a speck or fragment: as bright as a cell, but smaller than every cell."""
    height, width = yy.shape
    speck = _blob(draw, height, width, draw.uniform(0.7, 2.6))
    spot = torch.sigmoid(speck.depth(yy, xx) / draw.uniform(0.4, 0.8))
    mix = draw.uniform(0, 1)
    colour = (DEBRIS * mix + CYTOPLASM * (1 - mix))[:, None, None]
    return draw.uniform(0.2, 0.8) * spot * colour


def _expose(draw: Draw, light: Tensor) -> Tensor:
    """Return the camera's image: shot noise, read-out noise, 8 bits."""
    shot = draw.uniform(0.03, 0.09) * light.clamp_min(0).sqrt() * draw.normal(light.shape)
    readout = draw.uniform(0.008, 0.025) * draw.normal(light.shape)
    return ((light + shot + readout).clamp(0, 1) * 255).round().to(torch.uint8)
