"""Parameters from a counter, so that the fixture of a large network need not hold them.

The number at a position depends on the seed, the parameter's name and the position alone:
`lib/weights/random.ts` makes the same numbers, and `lib/weights/counter.ts` the same parameters.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Words = NDArray[np.uint32]


def counter_uniform(seed: int, stream: str, count: int) -> NDArray[np.float64]:
    """Uniform in [0, 1), multiples of 2⁻³², at positions 0 to count − 1 of a stream."""
    key = _mix(np.array([seed], np.uint32))
    for byte in stream.encode():
        key = _mix(key ^ np.uint32(byte))
    return _mix(key ^ _mix(np.arange(count, dtype=np.uint32))) / 2.0**32


def _mix(h: Words) -> Words:
    """MurmurHash3's 32-bit finaliser (Appleby 2011); array arithmetic wraps around."""
    h = h + np.uint32(0x9E3779B9)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


@torch.no_grad()
def fill_from_counter(module: nn.Module, seed: int) -> None:
    """Fill every parameter, under its state_dict key, as lib/weights/counter.ts does.

    With s uniform in [−1, 1): weights of rank 2 or more are s · √(3 / fan_in), whose variance
    is 1 / fan_in; a vector that is called `weight` is 1 + s / 2, any other vector s / 10.
    Both sides compute this in float64 and round once.
    """
    for name, parameter in module.named_parameters():
        parameter.copy_(counter_values(name, tuple(parameter.shape), seed))


def counter_values(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    s = 2 * counter_uniform(seed, name, math.prod(shape)) - 1
    if len(shape) >= 2:
        values = s * math.sqrt(3 / math.prod(shape[1:]))
    elif name.rpartition(".")[2] == "weight":
        values = 1 + s * 0.5
    else:
        values = s * 0.1
    return torch.from_numpy(values).reshape(shape)
