"""What the cases of every graph draw their values from, and shorthands for dtypes.

A sampler returns float64, which the case rounds once to its dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Shape = tuple[int, ...]
Sampler = Callable[[Shape, torch.Generator], Tensor]

F16, BF16, F32, F64 = torch.float16, torch.bfloat16, torch.float32, torch.float64


def normal(offset: float = 0.0, scale: float = 1.0) -> Sampler:
    return lambda shape, gen: offset + scale * torch.randn(shape, generator=gen, dtype=F64)


def uniform(low: float, high: float) -> Sampler:
    return lambda shape, gen: low + (high - low) * torch.rand(shape, generator=gen, dtype=F64)


def integers(low: int, high: int) -> Sampler:
    """Integers from low to high − 1, as Tensor.random_(low, high) draws them."""
    return lambda shape, gen: torch.randint(low, high, shape, generator=gen).double()


def constant(value: float) -> Sampler:
    return lambda shape, gen: torch.full(shape, value, dtype=F64)


def by_group(*samplers: Sampler) -> Sampler:
    """Group i of every sample from samplers[i], on x: (N, C, *)."""

    def sample(shape: Shape, gen: torch.Generator) -> Tensor:
        batch, channels, *spatial = shape
        part = (batch, channels // len(samplers), *spatial)
        return torch.cat([sampler(part, gen) for sampler in samplers], dim=1)

    return sample


def poisoned(value: float) -> Sampler:
    """Normal values, but one element `value` within channel 0 of sample 0."""

    def sample(shape: Shape, gen: torch.Generator) -> Tensor:
        x = normal()(shape, gen)
        x[0, 0].view(-1)[1] = value
        return x

    return sample


def round_up(value: float) -> float:
    """Two significant digits, never below the value."""
    exponent = math.floor(math.log10(value)) - 1
    return float(f"{math.ceil(value / 10.0**exponent)}e{exponent}")
