"""The committed parity cases of `torch.nn.GroupNorm`: shapes, parameters, numbers, dtypes."""

from __future__ import annotations

import math
from typing import Any

import torch
from fixture_case import Case
from fixture_group_norm import group_norm_case
from fixture_group_norm_torch import torch_test_cases
from fixture_values import (
    BF16,
    F16,
    F64,
    Sampler,
    Shape,
    by_group,
    constant,
    integers,
    normal,
    poisoned,
    uniform,
)


def group_norm_cases() -> list[Case]:
    return [
        *_shape_cases(),
        *_network_cases(),
        *_parameter_cases(),
        *_conditioning_cases(),
        *_special_value_cases(),
        *_dtype_cases(),
        *torch_test_cases(),
    ]


def _shape_cases() -> list[Case]:
    case = group_norm_case
    # The smallest group; PyTorch refuses it for N = 1 (one value per channel).
    single = "One element per group: the variance is 0 and y is β"
    # float16 cannot count the elements of the one; a float32 sum, element by element, over
    # the other loses digits.
    half_long, long = (1, 2, 182, 182), (1, 8, 112, 112)
    return [
        case("rank-2", (3, 20), 5, "Rank 2: (N, C) without spatial dimensions."),
        case("rank-3", (2, 6, 9), 3, "Rank 3: a signal."),
        case("rank-4", (2, 8, 5, 6), 4, "Rank 4: an image."),
        case("rank-5", (1, 6, 3, 4, 5), 2, "Rank 5: a volume."),
        case("rank-6", (2, 4, 2, 3, 2, 3), 2, "Rank 6: no named layout has so many."),
        case("odd-sizes", (3, 21, 7, 5), 7, "Odd sizes: no multiple of a vector width."),
        case("prime-sizes", (5, 13, 11, 3), 13, "Prime sizes, and groups of one channel."),
        case("one-group", (2, 12, 6, 6), 1, "G = 1: layer normalization over C, H and W."),
        case("one-channel-per-group", (2, 12, 6, 6), 12, "G = C: instance normalization."),
        case("one-channel", (2, 1, 5, 5), 1, "G = C = 1."),
        case("one-element-per-group", (2, 4, 1, 1), 4, f"{single}."),
        case("one-element-eps-0.1", (2, 4, 1, 1), 4, f"{single}, with eps 0.1.", eps=0.1),
        case("two-elements-per-group", (3, 8), 4, "Two elements per group: y is about β ± γ."),
        case("spatial-1", (2, 16, 1, 1), 4, "Spatial size 1, as after global pooling."),
        case("batch-0", (0, 6, 4, 4), 3, "An empty batch gives an empty output."),
        case("batch-1", (1, 6, 4, 4), 3, "A batch of one."),
        case("batch-big", (129, 4, 3), 2, "A batch of 129, the longest of the dimensions."),
        case("long-signal", (1, 4, 1001), 2, "A long signal of odd length."),
        case("many-groups", (1, 512, 2, 2), 256, "256 groups of 8 elements."),
        case("large-group", long, 1, "A group of 100,352 elements in [0, 1).", x=uniform(0, 1)),
        case(
            "large-group-float16",
            half_long,
            1,
            "A group of 66,248 elements: neither count nor sum fits in float16.",
            dtype=F16,
            x=normal(10.0),
        ),
    ]


def _network_cases() -> list[Case]:
    """Layers of well-known networks, scaled down."""
    case = group_norm_case
    unet = (1, 64, 16, 16)
    return [
        case("net-unet", unet, 32, "A U-Net stage (1×320×64×64) scaled down, 32 groups."),
        case("net-unet-mean-300", unet, 32, "The same with mean 300.", x=normal(300.0, 1.4)),
        case("net-unet-mid", (1, 160, 6, 6), 32, "A diffusion U-Net's middle.", eps=1e-6),
        case("net-resnet", (1, 32, 14, 14), 32, "A ResNet stage, one channel per group."),
        case("net-after-relu", (1, 32, 9, 9), 8, "Activations with exact zeros.", x=_relu),
        case("net-fpn", (1, 64, 7, 9), 32, "A feature pyramid level of odd size."),
        case("net-video", (1, 32, 4, 6, 6), 8, "A video or volume stage (N, C, D, H, W)."),
        case("net-audio", (1, 64, 50), 1, "A speech encoder's GroupNorm(1, C) on (N, C, T)."),
        case("net-audio-per-channel", (1, 64, 50), 64, "wav2vec 2.0's GroupNorm(C, C)."),
        case("net-pixels", (1, 3, 20, 21), 1, "Pixels from 0 to 255.", x=integers(0, 256)),
    ]


def _relu(shape: Shape, generator: torch.Generator) -> torch.Tensor:
    return normal()(shape, generator).relu()


def _parameter_cases() -> list[Case]:
    def case(name: str, description: str, groups: int = 4, **options: Any) -> Case:
        return group_norm_case(name, (2, 8, 4, 4), groups, description, **options)

    large = uniform(-1e3, 1e3)
    return [
        case("no-affine", "affine=False.", affine=False),
        case("no-affine-one-group", "affine=False and G = 1.", 1, affine=False),
        case("no-affine-one-channel-per-group", "affine=False and G = C.", 8, affine=False),
        case("eps-1e-12", "eps 1e-12.", eps=1e-12),
        case("eps-1e-8", "eps 1e-8.", eps=1e-8),
        case("eps-1e-3", "eps 1e-3.", eps=1e-3),
        case("eps-1e-1", "eps 0.1.", eps=1e-1),
        case("eps-10", "eps 10: larger than the variance.", eps=10.0),
        case("eps-0", "eps 0, which is defined since no group is constant.", eps=0.0),
        case("gamma-large", "γ up to ±1000.", weight=large),
        case("beta-large", "β up to ±1000.", bias=large),
        case(
            "gamma-beta-large",
            "γ and β up to ±1000, cancelling here and there.",
            weight=large,
            bias=large,
        ),
        case("gamma-negative", "γ is negative throughout.", weight=uniform(-2.0, -0.5)),
        case("gamma-zero", "γ is 0: y is β exactly.", weight=constant(0.0)),
        case("gamma-some-zero", "γ is 0 or 1, as after pruning.", weight=integers(0, 2)),
        case(
            "initial",
            "PyTorch's initial γ = 1 and β = 0.",
            weight=constant(1.0),
            bias=constant(0.0),
        ),
    ]


def _conditioning_cases() -> list[Case]:
    """Mean and scale of the input; see conditioned_tolerance for what they cost."""

    def case(name: str, description: str, x: Sampler, **options: Any) -> Case:
        return group_norm_case(name, (1, 16, 8, 8), 4, description, x=x, **options)

    def both(mean: float, word: str, remark: str = "") -> list[Case]:
        return [
            case(f"mean-{word}", f"Mean {mean:g}, deviation 1{remark}.", normal(mean)),
            case(f"mean-minus-{word}", f"Mean {-mean:g}, deviation 1{remark}.", normal(-mean)),
        ]

    means = by_group(normal(1.0), normal(-10.0), normal(300.0), normal(-1e3))
    scales = by_group(*(normal(0.0, scale) for scale in (1e-4, 0.1, 10.0, 1e6)))
    return [
        *both(10.0, "10", ": the default tolerance still holds"),
        *both(100.0, "100"),
        *both(300.0, "300", ": E[x²] − E[x]² loses most digits"),
        *both(1e3, "1e3"),
        *both(1e4, "1e4"),
        case("mean-1e3-deviation-0.1", "E[x²] − E[x]² can be negative here.", normal(1e3, 0.1)),
        case("mean-1e4-no-affine", "Mean 1e4, affine=False.", normal(1e4), affine=False),
        case("mean-1e4-deviation-1e3", "As easy as mean 10, deviation 1.", normal(1e4, 1e3)),
        case("mean-3e-3-deviation-1e-6", "eps keeps it well-posed.", normal(3e-3, 1e-6)),
        case("mean-by-group", "Means 1, −10, 300 and −1000 by group.", means),
        case("scale-by-group", "Deviations 1e-4, 0.1, 10 and 1e6 by group.", scales),
        case("scale-1e-6", "Deviation 1e-6: eps 1e-5 hides the variance.", normal(0.0, 1e-6)),
        case(
            "scale-1e-6-eps-1e-12", "The variance is of eps's size.", normal(0.0, 1e-6), eps=1e-12
        ),
        case("scale-1e-6-eps-0", "Deviation 1e-6 with eps 0.", normal(0.0, 1e-6), eps=0.0),
        case("scale-1e-3", "Deviation 1e-3.", normal(0.0, 1e-3)),
        case("scale-1e3", "Deviation 1000.", normal(0.0, 1e3)),
        case("scale-1e6", "Deviation 1e6.", normal(0.0, 1e6)),
        case("scale-1e15", "Squares near the end of float32's range.", normal(0.0, 1e15)),
    ]


def _special_value_cases() -> list[Case]:
    """Constants, zeros, NaN and infinities.

    A constant has no deviation, so a rounded mean is amplified by 1/√eps: 316 at eps 1e-5,
    and the tolerance says so. At eps 1e-12 it is 10⁶ and no float32 result means anything,
    and at eps 0 it is 0/0. Of those only zeros are here, whose mean is exact.
    """

    def case(name: str, description: str, x: Sampler, groups: int = 4, **options: Any) -> Case:
        return group_norm_case(name, (2, 8, 4, 4), groups, description, x=x, **options)

    channels = by_group(*(constant(c) for c in (0.0, 1.0, 2.0, -3.0, 5.0, 8.0, -13.0, 21.0)))
    dead = by_group(normal(), constant(0.0), normal(), constant(0.0))
    inf, minus_inf, nan = poisoned(math.inf), poisoned(-math.inf), poisoned(math.nan)
    return [
        case("zeros", "All zeros: y is β exactly.", constant(0.0)),
        case("zeros-eps-1e-12", "All zeros, eps 1e-12: y is β exactly.", constant(0.0), eps=1e-12),
        case("zeros-no-affine", "All zeros, affine=False: y is 0.", constant(0.0), affine=False),
        case("constant-3", "All 3, whose sum is exact in any order.", constant(3.0)),
        case("constant-0.7", "All 0.7, whose sum is rounded.", constant(0.7)),
        case("constant-0.7-eps-0.1", "All 0.7 with eps 0.1.", constant(0.7), eps=0.1),
        case("constant-minus-1000-eps-0.1", "All −1000, eps 0.1.", constant(-1000.0), eps=0.1),
        case("constant-by-channel", "Constant channels, two to a group.", channels),
        case("dead-groups", "Two groups of four are zero, as behind a dead ReLU.", dead),
        case("inf-in-one-group", "Infinity: its group is NaN, the others finite.", inf),
        case(
            "minus-inf-in-one-group", "−Infinity: its group is NaN, the others finite.", minus_inf
        ),
        case("nan-in-one-group", "NaN: its group is NaN, the others finite.", nan),
        case("nan-in-one-channel", "NaN with G = C: one channel is NaN.", nan, 8),
        case("nan-in-the-only-group", "NaN with G = 1: one sample is NaN.", nan, 1),
        case("inf-no-affine", "Infinity, affine=False.", inf, affine=False),
        case("inf-float16", "Infinity in float16.", inf, dtype=F16),
        case("nan-bfloat16", "NaN in bfloat16.", nan, dtype=BF16),
        case("nan-float64", "NaN in float64.", nan, dtype=F64),
    ]


def _dtype_cases() -> list[Case]:
    def half(name: str, description: str, groups: int = 4, **options: Any) -> Case:
        return group_norm_case(
            f"float16{name}", (2, 8, 5, 7), groups, description, dtype=F16, **options
        )

    def brain(name: str, description: str, **options: Any) -> Case:
        return group_norm_case(
            f"bfloat16{name}", (2, 8, 5, 7), 4, description, dtype=BF16, **options
        )

    def double(name: str, description: str, **options: Any) -> Case:
        return group_norm_case(f"float64{name}", (2, 8, 5, 7), 4, description, dtype=F64, **options)

    return [
        half("", "float16: PyTorch takes the statistics in float32."),
        half("-one-group", "float16, G = 1.", 1),
        half("-no-affine", "float16, affine=False.", affine=False),
        half(
            "-near-max",
            "Up to ±60,000: sums and squares leave float16's range.",
            x=uniform(-6e4, 6e4),
        ),
        half(
            "-max",
            "60,000 to 65,504, float16's largest: the sum of two overflows.",
            x=uniform(6e4, 65504.0),
        ),
        half("-mean-10", "float16, mean 10.", x=normal(10.0)),
        half("-mean-100", "float16, mean 100: x is a multiple of 1/16.", x=normal(100.0)),
        half(
            "-scale-1e-6", "Subnormal float16, whose squares are 0 in float16.", x=normal(0.0, 1e-6)
        ),
        half("-eps-1e-12", "An eps of 1e-12, which is 0 in float16.", eps=1e-12),
        brain("", "bfloat16: PyTorch takes the statistics in float32."),
        brain("-no-affine", "bfloat16, affine=False.", affine=False),
        brain("-mean-10", "bfloat16, mean 10.", x=normal(10.0)),
        brain("-scale-1e6", "bfloat16, deviation 1e6.", x=normal(0.0, 1e6)),
        group_norm_case(
            "bfloat16-long", (1, 2, 1001), 1, "More elements than bfloat16 can count.", dtype=BF16
        ),
        double("", "float64."),
        double("-no-affine", "float64, affine=False.", affine=False),
        double("-mean-1e4", "float64, mean 1e4: statistics in float32 would show.", x=normal(1e4)),
        double("-mean-1e6", "float64, mean 1e6.", x=normal(1e6)),
        double("-eps-1e-12", "float64, deviation 1e-6.", x=normal(0.0, 1e-6), eps=1e-12),
    ]
