"""The layers of PyTorch's own GroupNorm tests, as parity cases.

Shapes, groups, eps and the distribution of the input are PyTorch's. γ and β are drawn where
the test leaves them at 1 and 0, except where noted.
"""

from __future__ import annotations

from typing import Any

from fixture_case import Case
from fixture_group_norm import group_norm_case
from fixture_values import BF16, F16, Shape, constant, integers, uniform


def torch_test_cases() -> list[Case]:
    return [*_module_info_cases(), *_op_info_cases(), *_test_nn_cases()]


def _module_info_cases() -> list[Case]:
    """module_inputs_torch_nn_GroupNorm in torch/testing/_internal/common_modules.py.

    make_tensor draws the input, uniform in [−9, 9]; eps is 1e-3 in all of them. The two
    not_bias inputs pass bias=False, which is a β of 0: our options have no key for it.
    """
    rows: list[tuple[str, Shape, int, bool]] = [
        ("1d_affine", (4, 6, 5), 3, True),
        ("1d_affine_not_bias", (4, 6, 5), 3, True),
        ("1d_affine_GN", (4, 12), 3, True),
        ("1d_affine_large_batch", (150, 6), 1, True),
        ("1d_no_affine_IN", (4, 5, 5), 5, False),
        ("1d_no_affine_LN", (4, 10), 1, False),
        ("2d_affine", (4, 6, 2, 3), 3, True),
        ("2d_affine_not_bias", (4, 9, 2, 3), 3, True),
        ("2d_no_affine_IN", (4, 3, 2, 3), 3, False),
        ("2d_no_affine_LN", (4, 3, 2, 3), 1, False),
    ]
    return [
        group_norm_case(
            f"torch-module-{desc.lower().replace('_', '-')}",
            shape,
            groups,
            f"PyTorch's module_inputs_torch_nn_GroupNorm, {desc}.",
            eps=1e-3,
            affine=affine,
            x=uniform(-9, 9),
            bias=constant(0.0) if desc.endswith("not_bias") else uniform(-0.5, 0.5),
        )
        for desc, shape, groups, affine in rows
    ]


def _op_info_cases() -> list[Case]:
    """The OpInfo of nn.functional.group_norm in common_methods_invocations.py.

    Each shape has samples with and without weight and bias. One with a weight or a bias
    alone is one with β = 0 or γ = 1, and is not repeated here.
    """
    rows: list[tuple[str, Shape, int, float, bool]] = [
        ("sample", (1, 6, 3), 2, 0.5, True),
        ("sample", (1, 6, 3), 2, 0.5, False),
        ("sample", (2, 6, 3), 2, -0.5, True),
        ("sample", (1, 3), 1, 1e-5, True),
        ("sample", (0, 2), 1, 1e-5, True),
        ("sample", (5, 5, 5), 1, 0.5, True),
        ("sample", (5, 5, 5), 1, 0.5, False),
        ("sample", (1, 2), 1, 1e-5, False),
        ("reference", (20, 6, 10, 10), 3, 1e-5, True),
        ("reference", (20, 6, 10, 10), 6, 1e-5, True),
        ("reference", (20, 6, 10, 10), 1, 1e-5, False),
    ]
    return [
        group_norm_case(
            f"torch-op-{kind}-{_dashed(shape)}-g{groups}" + ("" if affine else "-no-affine"),
            shape,
            groups,
            f"PyTorch's {kind}_inputs_group_norm, eps {eps:g}.",
            eps=eps,
            affine=affine,
            x=uniform(-9, 9),
        )
        for kind, shape, groups, eps, affine in rows
    ]


def _test_nn_cases() -> list[Case]:
    """test/test_nn.py and test/cpp/api/modules.cpp.

    Files hold contiguous tensors, so the channels-last tests are reproduced by shape. The
    other shapes of test_groupnorm_nhwc and the full test_GroupNorm_numeric
    (1×8×256×256×72) are too large to commit.
    """

    def case(name: str, shape: Shape, groups: int, source: str, **options: Any) -> Case:
        full_name = f"torch-{name}-{_dashed(shape)}"
        return group_norm_case(full_name, shape, groups, f"PyTorch's {source}.", **options)

    def general(shape: Shape, groups: int) -> Case:
        between = uniform(0.2, 2)
        return case(
            "general",
            shape,
            groups,
            "test_GroupNorm_general, good_shape_g, eps 0",
            eps=0.0,
            x=uniform(0, 10),
            weight=between,
            bias=between,
        )

    def nhwc(shape: Shape, groups: int, name: str = "nhwc", **options: Any) -> Case:
        unit = uniform(0, 1)
        return case(name, shape, groups, "test_groupnorm_nhwc", weight=unit, bias=unit, **options)

    return [
        general((1, 2, 3, 4), 2),
        general((2, 3, 10), 3),
        general((3, 1, 1, 1, 2), 1),
        general((2, 6, 4, 2, 2), 3),
        general((1, 256, 1, 1), 32),
        case("half", (2, 4, 3, 2), 2, "test_GroupNorm_cuda_half", dtype=F16, x=integers(1, 10)),
        case("empty", (0, 4, 2, 2), 2, "test_GroupNorm_empty"),
        case("numeric", (1, 8, 8, 8, 9), 2, "test_GroupNorm_numeric, scaled down", x=uniform(0, 1)),
        case("memory-format", (2, 4, 4, 4), 2, "test_GroupNorm_memory_format", x=uniform(0, 1)),
        nhwc((4, 8, 10, 10), 4),
        nhwc((2, 30, 9, 9), 3),
        nhwc((2, 9, 7, 11, 15), 3),
        nhwc((4, 8, 10, 10), 4, "nhwc-bfloat16", dtype=BF16),
        case("nwc", (4, 20, 20), 4, "test_groupnorm_nwc"),
        case("cpp", (2, 2), 2, "ModulesTest.GroupNorm (test/cpp/api/modules.cpp)", eps=2e-5),
    ]


def _dashed(shape: Shape) -> str:
    return "x".join(map(str, shape))
