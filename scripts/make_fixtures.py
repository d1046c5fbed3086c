"""Run PyTorch and write the parity fixtures: test/fixtures/<graph>/<case>.safetensors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from fixture_case import Case, Outcome, configure_torch, run_case, write_fixture
from fixture_detection_backbone import detection_backbone_cases, random_detection_backbone_cases
from fixture_double_conv import double_conv_cases, random_double_conv_cases
from fixture_group_norm import random_group_norm_cases
from fixture_group_norm_cases import group_norm_cases
from fixture_norm_comparison import norm_comparison_cases, random_norm_comparison_cases
from fixture_resnet_block import random_resnet_block_cases, resnet_block_cases
from fixture_unet import random_unet_cases, unet_cases

COMMITTED = Path(__file__).resolve().parent.parent / "test" / "fixtures"

GRAPHS = [
    (group_norm_cases, random_group_norm_cases),
    (resnet_block_cases, random_resnet_block_cases),
    (double_conv_cases, random_double_conv_cases),
    (unet_cases, random_unet_cases),
    (detection_backbone_cases, random_detection_backbone_cases),
    (norm_comparison_cases, random_norm_comparison_cases),
]

EPILOG = """\
what a file holds
  input.<name>          the inputs, e.g. input.x
  state_dict.<key>      the parameters, under PyTorch's own names; none if the metadata has
                        weights = counter: fixture_counter.py makes them from its seed
  output.<name>         PyTorch's outputs on the CPU, e.g. output.y
  truth.<name>          the outputs of the same module in float64
  __metadata__          graph, options (JSON), framework, description, and "atol" or
                        "rtol" only where torch.testing.assert_close's default for the
                        dtype is not attainable: by a formula for one normalization
                        (fixture_group_norm.py), by PyTorch's own error for a network
                        (fixture_network.py)

examples
  make_fixtures.py                          rewrite the committed fixtures (seed 0)
  make_fixtures.py --list --only 'mean-*'   show cases, tolerances and PyTorch's own
                                            error; write nothing
  make_fixtures.py --only 'unet/*'          the cases of one graph
  make_fixtures.py --out again && diff -r again test/fixtures
                                            check the committed files: no .safetensors
                                            differs

held-out cases, for a check that nobody has tuned anything to
  make_fixtures.py --out held-out --seed 7
      the same cases with other values
  make_fixtures.py --out held-out --seed 7 --random 200 --only 'random-*'
      200 cases of every graph, with random sizes, options, mean and deviation, and
      where the graph has them, dtype, eps, dimensions and stride
  make_fixtures.py --out held-out --seed 7 --random 200 --only 'resnet-block/random-*'
      200 cases of one graph
  Point the parity check at held-out. Choose a seed that you have not used before.
  The tolerances come from the drawn values by the same rules; nobody sets them.

The same seed gives the same bytes: every case has a generator of its own, seeded by its
name, and PyTorch runs on one thread, with kernels for AVX2 whatever the processor has.
Exit status: 0 done, 1 a case failed, 2 bad usage.
"""


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    held_out = options.seed != 0 or options.random > 0
    if held_out and not options.list and options.out.resolve() == COMMITTED:
        parser.error("--seed and --random need --out: the default folder holds the committed cases")
    cases = _all_cases(options.random, options.seed)
    chosen = _matching(cases, options.only)
    if not chosen:
        parser.error(f"no case matches {options.only!r}; --list shows them all")
    configure_torch()
    return _make(chosen, options.seed, None if options.list else options.out)


def _all_cases(random_count: int, seed: int) -> list[Case]:
    """The committed cases of every graph, and random_count random ones of each."""
    return [
        case
        for committed, random_cases in GRAPHS
        for case in [*committed(), *random_cases(random_count, seed)]
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make_fixtures.py",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=COMMITTED,
        metavar="DIR",
        help="folder to write <graph>/<case>.safetensors to (default: test/fixtures)",
    )
    parser.add_argument(
        "--only",
        metavar="GLOB",
        help="only cases whose name, or graph/name, matches, e.g. 'mean-*'",
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="N",
        help="draw other values (default: 0, the committed ones)",
    )
    parser.add_argument(
        "--random",
        type=_count,
        default=0,
        metavar="COUNT",
        help="add COUNT random cases of every graph, which are not meant to be committed",
    )
    parser.add_argument(
        "--list", action="store_true", help="run the cases and describe them, but write nothing"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def _seed(text: str) -> int:
    """Up to nine digits: lib/parity/fixture.ts reads no more, as the counter takes 32 bits."""
    if _count(text) >= 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not below 1,000,000,000")
    return int(text)


def _matching(cases: Iterable[Case], pattern: str | None) -> list[Case]:
    return [
        case
        for case in cases
        if pattern is None or fnmatchcase(case.name, pattern) or fnmatchcase(case.path, pattern)
    ]


def _make(cases: list[Case], seed: int, out: Path | None) -> int:
    """Run every case and write it, or with no folder only describe it."""
    size, width = 0, len(str(len(cases)))
    for number, case in enumerate(cases, start=1):
        try:
            outcome = run_case(case, seed)
            if out is not None:
                path = out / f"{case.path}.safetensors"
                write_fixture(path, outcome)
                size += path.stat().st_size
        except (ValueError, OSError, RuntimeError) as error:
            print(f"make_fixtures.py: {case.path}: {error}", file=sys.stderr)
            return 1
        print(f"[{number:{width}}/{len(cases)}] {_summary(case, outcome)}", flush=True)
        if out is None:
            print(f"    {case.description}")
    print(f"{len(cases)} cases" + (f", {size / 1e6:.2f} MB in {out}" if out else ""))
    return 0


def _summary(case: Case, outcome: Outcome) -> str:
    """Name, shape and dtype, and PyTorch's own distance from float64 within the tolerance."""
    x = next(iter(outcome.tensors.values()))
    own = [f"{k} {outcome.metadata[k]}" for k in ("rtol", "atol") if k in outcome.metadata]
    used = f"{outcome.tolerance_used:.0%} of {', '.join(own) or 'default'}"
    return (
        f"{case.path}  {'x'.join(map(str, x.shape))} {str(x.dtype).removeprefix('torch.')}"
        f"  error {outcome.max_error:.1e} = {used}"
    )


if __name__ == "__main__":
    sys.exit(main())
