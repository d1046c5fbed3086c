"""What the cases of all networks share: how parameters are drawn, and the tolerance.

Networks are in float32 only. ONNX Runtime has no convolution in float64 on the CPU, so there is
nothing to check: `truth` is the network in float64. In float16 and bfloat16 every layer rounds
its output, the next GroupNorm divides that error by a deviation, and PyTorch itself is 50 to 70
default tolerances away from float64 after a single block (0.004 in float16): no reference.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from fixture_case import DEFAULT_TOLERANCE, Case, Run, stable_hash
from fixture_values import Sampler, Shape, integers, normal, round_up, uniform
from torch import Generator, nn

LARGEST_ATOL = 2.0**-13
"""The most that measured_tolerance may give, in units of the largest output."""


def network_case(
    graph: str,
    name: str,
    description: str,
    options: dict[str, int | float | bool],
    network: Callable[[], nn.Module],
    shape: Shape,
    *,
    x: Sampler = normal(),
    counter: bool = False,
) -> Case:
    """One network on one x of this shape. The parameters are drawn, or from the counter."""

    def module(generator: Generator) -> nn.Module:
        # PyTorch initialises from its global generator; every value is replaced.
        made = network()
        if not counter:
            fill_randomly(made, generator)
        return made

    return Case(
        graph=graph,
        name=name,
        description=description,
        options=options,
        module=module,
        inputs=lambda generator: {"x": x(shape, generator).float()},
        own_tolerance=measured_tolerance,
        counter=counter,
    )


def fill_randomly(module: nn.Module, generator: Generator) -> None:
    """Convolutions of variance 1 / fan_in; γ in ±[0.5, 1.5], mostly positive; β and biases ±0.5.

    PyTorch's initial γ = 1 and β = 0 would not notice an implementation that mixes up channels
    or forgets them, and γ > 0 would not notice a ReLU before the affine part.
    """
    for name, parameter in module.named_parameters():
        shape = tuple(parameter.shape)
        if len(shape) >= 2:
            values = normal(0.0, math.prod(shape[1:]) ** -0.5)(shape, generator)
        elif name.endswith("weight"):
            sign = uniform(-0.2, 0.8)(shape, generator).sign()
            values = uniform(0.5, 1.5)(shape, generator) * sign
        else:
            values = uniform(-0.5, 0.5)(shape, generator)
        parameter.copy_(values)


# --- Tolerance ----------------------------------------------------------------------------


def measured_tolerance(run: Run) -> dict[str, float]:
    """The smallest atol at which PyTorch's own error is a quarter of the tolerance everywhere.

    A network rounds at every layer, and every GroupNorm divides by a deviation, so its error
    grows with depth beyond the default, which is for one operation. A bound from first
    principles would multiply the worst cases of all layers and come out thousands of times too
    large. But the error of float32 itself is measured here: e = |y − truth|, PyTorch's distance
    from the same network on the same values in float64. Another implementation in float32 does
    the same arithmetic in another order, so its error is another draw of about the same size,
    and the two differ by up to 2·e where they have opposite signs. Its order may also be less
    favourable than oneDNN's, which adds 8 or more partial sums: we allow its error twice the
    room, hence 4·e. At every element

        4·e ≤ atol + rtol·|truth|,  rtol the default of the dtype

    and atol is the smallest number (two digits, rounded up) for which this holds, or the
    default if that is larger. It comes from the run: nobody sets it. A case where it exceeds
    2⁻¹³ of the largest output is refused: float32 does not determine that result.
    """
    rtol, default = DEFAULT_TOLERANCE[next(iter(run.outputs.values())).dtype]
    atol, largest = default, 0.0
    for name, output in run.outputs.items():
        truth = run.truths[name]
        if truth.numel() == 0:
            continue
        error = (output.double() - truth).abs()
        atol = max(atol, (4 * error - rtol * truth.abs()).max().item())
        largest = max(largest, truth.abs().max().item())
    if atol == default:
        return {}
    if not atol <= LARGEST_ATOL * largest:
        raise ValueError(f"a tolerance of {atol:.2g} for outputs up to {largest:.2g}: ill-posed")
    return {"atol": round_up(atol)}


# --- Random cases -------------------------------------------------------------------------


def random_draw(graph: str, index: int, seed: int) -> tuple[str, random.Random]:
    """The name of a random case and what draws its sizes and options."""
    return f"random-{seed}-{index:04}", random.Random(stable_hash(f"{seed}/{graph}/{index}"))


def random_spatial(
    rng: random.Random, dims: int, channels_per_group: int, stride: int = 1
) -> list[int]:
    """Sizes that leave at least 8 elements in a group, whose deviation is then not near 0."""
    while True:
        spatial = [rng.randint(1, 19 if dims == 2 else 9) for _ in range(dims)]
        strided = [-(-size // stride) for size in spatial]
        if channels_per_group * math.prod(strided) >= 8:
            return spatial


def random_statistics(rng: random.Random) -> tuple[str, Sampler]:
    """An input distribution and what it is called."""
    return rng.choice(
        [
            ("standard normal", normal()),
            ("mean 10", normal(10.0)),
            ("mean −100, deviation 3", normal(-100.0, 3.0)),
            ("deviation 0.01", normal(0.0, 0.01)),
            ("deviation 1000", normal(0.0, 1000.0)),
            ("uniform in [0, 1)", uniform(0, 1)),
            ("pixels 0 to 255", integers(0, 256)),
        ]
    )
