"""Parity cases of the graph "norm-comparison": four normalizations of one input.

There are no options and no parameters: x is (N, 8, H, W), none of the four has affine
parameters, and eps is 1e-5. Batch norm takes the statistics of the batch, as in training.

There is no case in float16 or bfloat16. PyTorch's batch and instance norm compute α·x + β on the
CPU with both rounded to that dtype, which loses the digits of the mean: at mean 100, deviation 1,
float16, instance norm is wrong by 0.034 where group norm with G = C is wrong by 0.001, the
rounding of the result. That is no reference.
"""

from __future__ import annotations

import random

import torch
from fixture_case import Case, Run, stable_hash
from fixture_group_norm import largest_term, tolerance_for
from fixture_network import random_draw
from fixture_values import (
    F32,
    F64,
    Sampler,
    Shape,
    constant,
    integers,
    normal,
    poisoned,
    uniform,
)
from torch import Tensor, nn
from torch.nn.functional import layer_norm

CHANNELS, GROUPS = 8, 4


class NormComparison(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        # Without running statistics, batch norm takes the batch's, in eval mode too.
        self.batch_norm = nn.BatchNorm2d(CHANNELS, affine=False, track_running_stats=False)
        self.group_norm = nn.GroupNorm(GROUPS, CHANNELS, affine=False)
        self.instance_norm = nn.InstanceNorm2d(CHANNELS)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {
            "batch_norm": self.batch_norm(x),
            "layer_norm": layer_norm(x, x.shape[1:]),
            "group_norm": self.group_norm(x),
            "instance_norm": self.instance_norm(x),
        }


def widest_conditioned_tolerance(run: Run) -> dict[str, float]:
    """fixture_group_norm.conditioned_tolerance, for the worst conditioned of the four.

    Layer and instance norm are group norm with G = 1 and G = C. Batch norm is instance norm of
    one sample, whose channels hold the whole batch.
    """
    x = run.inputs["x"]
    one, some, all_ = (nn.GroupNorm(g, CHANNELS, affine=False) for g in (1, GROUPS, CHANNELS))
    batch = x.transpose(0, 1).reshape(1, CHANNELS, -1)
    sites = [(all_, batch), (one, x), (some, x), (all_, x)]
    return tolerance_for(max(largest_term(norm, y.double()) for norm, y in sites), x.dtype)


def norm_comparison_case(
    name: str,
    shape: Shape,
    description: str,
    *,
    x: Sampler = normal(),
    dtype: torch.dtype = F32,
) -> Case:
    """All four on x of shape (N, H, W) with 8 channels."""
    batch, height, width = shape
    return Case(
        graph="norm-comparison",
        name=name,
        description=description,
        options={},
        module=lambda generator: NormComparison(),
        inputs=lambda generator: {"x": x((batch, CHANNELS, height, width), generator).to(dtype)},
        own_tolerance=widest_conditioned_tolerance,
    )


def by_sample(*samplers: Sampler) -> Sampler:
    """Sample i of x: (N, *) from samplers[i], and round again."""

    def sample(shape: Shape, generator: torch.Generator) -> Tensor:
        one = (1, *shape[1:])
        return torch.cat([samplers[i % len(samplers)](one, generator) for i in range(shape[0])])

    return sample


_MIXED = by_sample(normal(), normal(5.0, 3.0), uniform(0, 10), normal(-2.0, 0.5))


def _shared(shape: Shape, _: torch.Generator) -> Tensor:
    """The first samples of one batch, the same in every case and for every seed."""
    generator = torch.Generator().manual_seed(stable_hash("norm-comparison/shared"))
    return _MIXED((4, *shape[1:]), generator)[: shape[0]]


def norm_comparison_cases() -> list[Case]:
    case = norm_comparison_case
    pixels, nan = integers(0, 256), float("nan")
    return [
        case("sample-alone", (1, 6, 5), "Sample 0 of sample-in-batch, alone.", x=_shared),
        case("sample-in-batch", (4, 6, 5), "Only batch norm sees the other three.", x=_shared),
        case("batch-1", (1, 7, 9), "A batch of one: batch norm is instance norm."),
        case("batch-2", (2, 9, 4), "A batch of two."),
        case("batch-17", (17, 3, 5), "A batch of 17, odd sizes."),
        case("mixed-batch", (5, 5, 8), "Samples of different means and deviations.", x=_MIXED),
        case("wide", (2, 1, 33), "A single row."),
        case("two-pixels", (3, 1, 2), "The fewest that PyTorch's instance norm accepts."),
        case("large", (2, 16, 24), "Rows of 3,072 elements.", x=pixels),
        case("pixels-0-1", (2, 11, 13), "Images from 0 to 1.", x=uniform(0, 1)),
        case("pixels-0-255", (2, 13, 11), "Images from 0 to 255.", x=pixels),
        case("mean-100", (2, 8, 6), "Mean 100.", x=normal(100.0)),
        case("low-contrast", (2, 6, 8), "Deviation 3e-3: eps counts.", x=normal(0.0, 3e-3)),
        case("constant", (2, 4, 5), "No variance at all.", x=constant(0.5)),
        case("nan", (3, 4, 5), "A NaN in one sample, which batch norm spreads.", x=poisoned(nan)),
        case("float64", (3, 5, 7), "float64.", dtype=F64),
    ]


def random_norm_comparison_cases(count: int, seed: int) -> list[Case]:
    """Cases nobody has tuned anything to; the same seed gives the same cases."""
    return [_random_case(index, seed) for index in range(count)]


def _random_case(index: int, seed: int) -> Case:
    name, rng = random_draw("norm-comparison", index, seed)
    scale = 10.0 ** rng.choice([-3, -1, 0, 0, 1, 2])
    offset = rng.choice([-1, 1]) * rng.choice([0, 1, 10, 100]) * scale
    return norm_comparison_case(
        name,
        (rng.randint(1, 6), *_random_size(rng)),
        f"Random case {index} of seed {seed}: mean {offset:g}, deviation {scale:g}.",
        x=normal(offset, scale),
        dtype=rng.choice([F32, F32, F32, F64]),
    )


def _random_size(rng: random.Random) -> tuple[int, int]:
    """Height and width, at least 4 elements, whose deviation is then not near 0."""
    while True:
        height, width = rng.randint(1, 17), rng.randint(1, 17)
        if height * width >= 4:
            return height, width
