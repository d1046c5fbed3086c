"""How a parity case of `torch.nn.GroupNorm` (graph "group-norm") is made; random cases.

Options are {numGroups, numChannels, eps, affine}. The input is x: (N, C, *), the parameters
are weight: (C) and bias: (C), and the output is y: (N, C, *). A case draws every value in
float64 and rounds it once to the dtype of the case.
"""

from __future__ import annotations

import math
import random

import torch
from fixture_case import DEFAULT_TOLERANCE, Case, Run, stable_hash
from fixture_values import BF16, F16, F32, F64, Sampler, Shape, normal, round_up, uniform
from torch import Tensor, nn

# --- Tolerance ----------------------------------------------------------------------------


def conditioned_tolerance(run: Run) -> dict[str, float]:
    """The tolerance that the condition of the problem allows, where the default is tighter.

    y = (x − μ)/s·γ + β with s = √(σ² + eps), computed in a format with unit roundoff u, adds
    terms that can be far larger than y. Take PyTorch's form y = a·x + b with a = γ/s and
    b = β − μ·a. Each of μ, μ·a, b and a·x is rounded, and for x near μ they are of size

        K = |γ|·|μ|/s + min(|β|, |γ|·max|x − μ|/s)

    (β costs digits of y only as far as the other term cancels it), which makes an error of
    about 4·u·K. Rounding s or a scales y, and rtol covers that. Computing x − μ first saves
    some of the roundings, but never that of μ. Two implementations may both be wrong by that
    much, in opposite directions, so they differ by up to

        8·u·K = 4·ε·K,  ε = 2·u = torch.finfo(dtype of the statistics).eps

    The statistics of float16 and bfloat16 are in float32, and so is a·x + b. K is the maximum
    over samples and channels, from the data, in float64. A group with NaN or infinity has no
    K: its output is NaN, and compared as such. Where 4·ε·K is below the default atol, as it
    is in float32 up to K = 20, the default stands.

    This counts one rounding of μ. PyTorch's is a running mean, rounded at every step, which
    in short groups costs μ up to 5·u, and s up to K·u/4. PyTorch's own error from float64
    takes at most half of the tolerance in the committed cases, and took up to 64% in 20,000
    random ones. The tolerance still tells: E[x²] − E[x]² in float32 misses it from mean 10
    on, by factors up to 400 or with NaN; two passes stay below half of it in every float32
    case with a tolerance of its own.
    """
    assert isinstance(run.module, nn.GroupNorm)
    x = run.inputs["x"]
    return {} if x.numel() == 0 else tolerance_for(largest_term(run.module, x.double()), x.dtype)


def tolerance_for(size: float, dtype: torch.dtype) -> dict[str, float]:
    """4·ε·K, where that is more than the default."""
    statistics = F64 if dtype == F64 else F32
    atol = 4 * torch.finfo(statistics).eps * size
    return {"atol": round_up(atol)} if atol > DEFAULT_TOLERANCE[dtype][1] else {}


def largest_term(module: nn.GroupNorm, x: Tensor) -> float:
    """K of conditioned_tolerance, for x: (N, C, *) in float64."""
    batch, channels = x.shape[:2]
    grouped = x.reshape(batch, module.num_groups, -1)
    mean = grouped.mean(dim=-1, keepdim=True)
    s = (grouped.var(dim=-1, keepdim=True, unbiased=False) + module.eps).sqrt()
    ones = torch.ones(channels, dtype=F64)
    gamma = ones if module.weight is None else module.weight.double().abs()
    beta = 0 * ones if module.bias is None else module.bias.double().abs()

    def per_channel(per_group: Tensor) -> Tensor:
        return per_group.squeeze(-1).repeat_interleave(channels // module.num_groups, dim=1)

    centre = per_channel(mean.abs() / s)
    spread = per_channel((grouped - mean).abs().amax(dim=-1, keepdim=True) / s)
    size = gamma * centre + torch.minimum(beta, gamma * spread)
    size = size[size.isfinite()]
    return size.max().item() if size.numel() else 0.0


# --- Cases --------------------------------------------------------------------------------


def group_norm_case(
    name: str,
    shape: Shape,
    groups: int,
    description: str,
    *,
    eps: float = 1e-5,
    affine: bool = True,
    dtype: torch.dtype = F32,
    x: Sampler = normal(),
    weight: Sampler = uniform(0.5, 1.5),
    bias: Sampler = uniform(-0.5, 0.5),
) -> Case:
    """One GroupNorm(groups, shape[1], eps, affine) on one x of this shape and dtype.

    γ and β are drawn unless affine is False: PyTorch's initial γ = 1 and β = 0 would not
    notice an implementation that mixes up the channels.
    """
    channels = shape[1]

    def module(generator: torch.Generator) -> nn.Module:
        norm = nn.GroupNorm(groups, channels, eps=eps, affine=affine, dtype=dtype)
        if affine:
            norm.weight.copy_(weight((channels,), generator))
            norm.bias.copy_(bias((channels,), generator))
        return norm

    return Case(
        graph="group-norm",
        name=name,
        description=description,
        options={"numGroups": groups, "numChannels": channels, "eps": eps, "affine": affine},
        module=module,
        inputs=lambda generator: {"x": x(shape, generator).to(dtype)},
        own_tolerance=conditioned_tolerance,
    )


# --- Random cases -------------------------------------------------------------------------


def random_group_norm_cases(count: int, seed: int) -> list[Case]:
    """Cases nobody has tuned anything to; the same seed gives the same cases."""
    return [_random_case(index, seed) for index in range(count)]


def _random_case(index: int, seed: int) -> Case:
    rng = random.Random(stable_hash(f"{seed}/random-shape/{index}"))
    shape, groups = _random_shape(rng)
    dtype = rng.choice([F32, F32, F32, F16, BF16, F64])
    # The mean is given in deviations: more of them than the format has digits, and the
    # input would be rounded to a constant, which is another problem (_special_value_cases).
    deviations = {F16: [0, 1, 10, 100], BF16: [0, 1, 10]}.get(dtype, [0, 1, 10, 100, 1000])
    scale = 10.0 ** rng.choice(
        [-3, -1, 0, 0, 1, 2] if dtype == F16 else [-6, -3, -1, 0, 0, 1, 3, 6]
    )
    offset = rng.choice([-1, 1]) * rng.choice(deviations) * scale
    eps = rng.choice([1e-12, 1e-8, 1e-6, 1e-5, 1e-5, 1e-3, 1e-1])
    affine = rng.random() < 0.75
    return group_norm_case(
        f"random-{seed}-{index:04}",
        shape,
        groups,
        f"Random case {index} of seed {seed}: mean {offset:g}, deviation {scale:g}.",
        eps=eps,
        affine=affine,
        dtype=dtype,
        x=normal(offset, scale),
        weight=normal(1.0, 0.5),
        bias=normal(0.0, 0.5),
    )


def _random_shape(rng: random.Random) -> tuple[Shape, int]:
    """Rank 2 to 6 and at most 20,000 elements, with at least 4 elements in a group."""
    while True:
        groups, per_group = rng.choice([1, 2, 3, 4, 5, 7, 8, 16, 32]), rng.randint(1, 9)
        spatial = [rng.randint(1, 17) for _ in range(rng.randint(0, 4))]
        shape = (rng.randint(1, 5), groups * per_group, *spatial)
        if per_group * math.prod(spatial) >= 4 and math.prod(shape) <= 20_000:
            return shape, groups
