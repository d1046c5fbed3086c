"""Check models with the `onnx` package and with Python's onnxruntime.

    python scripts/checks/check_models.py JOBS.json

`check-models.ts` writes the models and the list of jobs, and runs this program. It exits with 1 if a package refuses a
model, or if the results differ from the fixture.

Models of the lowering `op` run too. ONNX Runtime's own implementation of the operator loses accuracy where the mean is
large against the deviation, which is why this project replaces it. So the program prints its error and does not judge
it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors import safe_open

# Of bfloat16 models only the structure is checked, because NumPy lacks the dtype.
RUNNABLE = {np.dtype("float32"), np.dtype("float64"), np.dtype("float16")}


def check_structure(path: str) -> onnx.ModelProto:
    """Load a model; raise if the checker refuses it or its declared shapes contradict inference."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    return model


def load(path: str) -> onnxruntime.InferenceSession:
    """Return a session; raise if onnxruntime refuses the model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def largest_excess(session: onnxruntime.InferenceSession, job: dict[str, object]) -> tuple[float, float]:
    """Run the model; return (max abs error, max of error / tolerance) over all its outputs."""
    names = [output.name for output in session.get_outputs()]
    with safe_open(job["fixture"], framework="numpy") as fixture:
        inputs = {node.name: fixture.get_tensor(f"input.{node.name}") for node in session.get_inputs()}
        results = session.run(names, inputs)
        expected = [fixture.get_tensor(f"output.{name}").astype(np.float64) for name in names]
    error, excess = 0.0, 0.0
    for actual, wanted in zip(results, expected, strict=True):
        if actual.shape != wanted.shape:
            raise ValueError(f"expected shape {wanted.shape}, got {actual.shape}")
        with np.errstate(invalid="ignore"):
            difference = np.abs(actual.astype(np.float64) - wanted)
        difference[(actual == wanted) | (np.isnan(actual) & np.isnan(wanted))] = 0
        allowed = job["atol"] + job["rtol"] * np.where(np.isfinite(wanted), np.abs(wanted), 0)
        if difference.size:
            error = max(error, float(np.max(np.nan_to_num(difference, nan=np.inf))))
            excess = max(excess, float(np.max(np.nan_to_num(difference / allowed, nan=np.inf))))
    return error, excess


def runnable(fixture: str) -> bool:
    """Whether NumPy has the dtype of the fixture's results."""
    try:
        return dtype_of(fixture) in RUNNABLE
    except TypeError:
        return False


def check(job: dict[str, object]) -> str:
    """Check one job and return a line about it; raise if the check fails."""
    model = check_structure(job["model"])
    if not runnable(job["fixture"]):
        return "structure only"
    if dtype_of(job["fixture"]) == np.float64 and any(node.op_type == "InstanceNormalization" for node in model.graph.node):
        return "structure only: onnxruntime has no float64 InstanceNormalization"
    session = load(job["model"])
    if job["lowering"] == "op":
        return describe_inlined(session, job)
    error, excess = largest_excess(session, job)
    if excess > 1:
        raise ValueError(f"error {error:.1e} is {excess:.1f} times the tolerance")
    return f"error {error:.1e}"


def describe_inlined(session: onnxruntime.InferenceSession, job: dict[str, object]) -> str:
    """Describe the results of ONNX Runtime's own implementation, which for example fails on an empty batch."""
    try:
        error, excess = largest_excess(session, job)
    except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions have no class in common
        return f"loads; onnxruntime's own operator fails: {str(error).splitlines()[0][:80]}"
    return f"loads; error {error:.1e}, {excess:.2g} of the tolerance, not judged"


def dtype_of(fixture: str) -> np.dtype:
    with safe_open(fixture, framework="numpy") as file:
        return file.get_tensor(next(key for key in file.keys() if key.startswith("output."))).dtype


def main() -> int:
    jobs = json.loads(Path(sys.argv[1]).read_text())
    failed = 0
    for job in jobs:
        name = Path(job["model"]).stem
        try:
            print(f"{name}: {check(job)}")
        except Exception as error:  # noqa: BLE001 - after any failure of one model, check the others
            failed += 1
            print(f"{name}: FAILED: {error}")
    print(f"check:models: {len(jobs) - failed} passed, {failed} failed (onnx {onnx.__version__}, "
          f"onnxruntime {onnxruntime.__version__})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
