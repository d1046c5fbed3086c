"""What a fixture case is, how PyTorch runs it, and how it becomes one `.safetensors` file.

Nothing here knows an architecture: a new graph is a file of cases beside
`fixture_resnet_block.py` and one line in `make_fixtures.py`.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Sums come out differently with SSE2, AVX2 and AVX-512 kernels: PyTorch's own (norms), oneDNN's
# (convolutions in float32) and MKL's (1×1 convolutions and all of float64). The libraries read
# these once; chosen before the import, every x86-64 machine with AVX2 runs the same kernels.
# COMPATIBLE is the one branch that MKL has for every vendor's processors.
os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
os.environ["MKL_CBWR"] = "COMPATIBLE"

import torch  # noqa: E402
from fixture_counter import fill_from_counter  # noqa: E402
from safetensors import safe_open  # noqa: E402
from torch import Tensor, nn  # noqa: E402

Tensors = dict[str, Tensor]

# torch.testing.assert_close's defaults: dtype -> (rtol, atol).
DEFAULT_TOLERANCE: dict[torch.dtype, tuple[float, float]] = {
    torch.float16: (1e-3, 1e-5),
    torch.bfloat16: (1.6e-2, 1e-5),
    torch.float32: (1.3e-6, 1e-5),
    torch.float64: (1e-7, 1e-7),
}

SAFETENSORS_DTYPE: dict[torch.dtype, str] = {
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
}


@dataclass(frozen=True)
class Run:
    """What PyTorch made of a case."""

    module: nn.Module
    inputs: Tensors
    outputs: Tensors
    truths: Tensors
    """The outputs of the same module in float64."""


@dataclass(frozen=True)
class Case:
    """One parity case: everything needed to make `<graph>/<name>.safetensors`.

    `module` and `inputs` draw from one generator, in that order. `inputs` are the arguments of
    the module's forward, in its order, under the graph's names for them; the module returns one
    tensor, or a dict by output name. `own_tolerance` returns "rtol" and "atol" only where the
    default is not attainable, and must derive them from the run. With `counter` the parameters
    come from the counter-based generator instead, and the file holds its seed and not them.
    """

    graph: str
    name: str
    description: str
    options: dict[str, int | float | bool]
    module: Callable[[torch.Generator], nn.Module]
    inputs: Callable[[torch.Generator], Tensors]
    own_tolerance: Callable[[Run], dict[str, float]] = lambda run: {}
    counter: bool = False

    @property
    def path(self) -> str:
        return f"{self.graph}/{self.name}"


@dataclass(frozen=True)
class Outcome:
    """A case that PyTorch has run: the file's content, and how far PyTorch is from float64."""

    tensors: Tensors
    metadata: dict[str, str]
    max_error: float
    """max |output − truth| over the elements where both are finite."""
    tolerance_used: float
    """max |output − truth| / (atol + rtol·|truth|): 1 is the edge of the tolerance."""


def configure_torch() -> None:
    """One thread and deterministic algorithms: the order of every sum is then fixed."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def generator_for(case: Case, seed: int) -> torch.Generator:
    """A generator of the case's own, so that adding a case changes no other case's values."""
    return torch.Generator().manual_seed(stable_hash(f"{seed}/{case.path}"))


def stable_hash(text: str) -> int:
    """63 bits of SHA-256. Python's hash() differs from process to process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@torch.no_grad()
def run_case(case: Case, seed: int) -> Outcome:
    """Run the module as it is, and again in float64 on the same (rounded) values."""
    generator = generator_for(case, seed)
    module = case.module(generator).eval()
    if case.counter:
        fill_from_counter(module, seed)
    inputs = case.inputs(generator)
    outputs = _named(module(*inputs.values()))
    exact = copy.deepcopy(module).double()
    truths = _named(exact(*(x.double() for x in inputs.values())))
    own = case.own_tolerance(Run(module, inputs, outputs, truths))
    max_error, tolerance_used = _compare(outputs, truths, own)
    # The tolerance is for two implementations, each with an error of its own, so PyTorch
    # should stay near half of it. Beyond all of it, the tolerance is wrong.
    if tolerance_used > 1:
        raise ValueError(
            f"PyTorch's own error from float64 is {max_error:.2g}, {tolerance_used:.0%} of the "
            "tolerance: the case is ill-posed or its tolerance rule is wrong"
        )
    stored = {} if case.counter else module.state_dict()
    tensors = {
        **{f"input.{name}": x for name, x in inputs.items()},
        **{f"state_dict.{key}": p for key, p in stored.items()},
        **{f"output.{name}": y for name, y in outputs.items()},
        **{f"truth.{name}": y for name, y in truths.items()},
    }
    return Outcome(tensors, _metadata(case, seed, own), max_error, tolerance_used)


def _named(outputs: Tensor | Tensors) -> Tensors:
    """A module with one output returns a tensor, which is called y."""
    return {"y": outputs} if isinstance(outputs, Tensor) else outputs


def _metadata(case: Case, seed: int, own: dict[str, float]) -> dict[str, str]:
    return {
        "graph": case.graph,
        "options": json.dumps(case.options, sort_keys=True),
        # "2.13.0+cpu" is the same release as "2.13.0".
        "framework": f"torch {torch.__version__.partition('+')[0]}",
        "description": case.description,
        **({"weights": "counter", "seed": str(seed)} if case.counter else {}),
        **{name: repr(value) for name, value in own.items()},
    }


def _compare(outputs: Tensors, truths: Tensors, own: dict[str, float]) -> tuple[float, float]:
    """(max error, share of the tolerance), over every output, as the parity check does it."""
    max_error = used = 0.0
    for name, output in outputs.items():
        rtol, atol = DEFAULT_TOLERANCE[output.dtype]
        rtol, atol = own.get("rtol", rtol), own.get("atol", atol)
        actual, truth = output.double(), truths[name]
        finite = truth.isfinite()
        if not (identical(actual[~finite], truth[~finite]) and actual[finite].isfinite().all()):
            return float("inf"), float("inf")
        if finite.any():
            error = (actual - truth).abs()[finite]
            max_error = max(max_error, error.max().item())
            used = max(used, (error / (atol + rtol * truth.abs()[finite])).max().item())
    return max_error, used


def identical(a: Tensor, b: Tensor) -> bool:
    """Same dtype, shape and values, where NaN is equal to NaN."""
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)
    )


def serialise(tensors: Tensors, metadata: dict[str, str]) -> bytes:
    """The safetensors format: u64 header size, JSON header padded to 8 bytes, then the data.

    The `safetensors` package keeps __metadata__ in a hash map of random order, so its bytes
    differ from process to process; committed files need a fixed order, hence sorted keys.
    """
    header: dict[str, object] = {"__metadata__": metadata}
    blobs: list[bytes] = []
    offset = 0
    # Widest type first, as the official writer does, so that every tensor is aligned.
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        blob = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
        header[name] = {
            "dtype": SAFETENSORS_DTYPE[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *blobs])


def write_fixture(path: Path, outcome: Outcome) -> None:
    """Write beside the target, read back, then rename: a failure leaves no half a fixture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(serialise(outcome.tensors, outcome.metadata))
        _check_readable(temporary, outcome)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _check_readable(path: Path, outcome: Outcome) -> None:
    """The official reader must give back exactly what was written."""
    with safe_open(path, framework="pt") as file:
        if file.metadata() != outcome.metadata or set(file.keys()) != set(outcome.tensors):
            raise ValueError(f"{path.name}: the safetensors package reads other names or metadata")
        for name, expected in outcome.tensors.items():
            if not identical(file.get_tensor(name), expected):
                raise ValueError(f"{path.name}: the safetensors package reads another {name}")
