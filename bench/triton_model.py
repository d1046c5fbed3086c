"""The peer of `bench:serve -- --triton`: a model of Triton's Python backend that runs onnxruntime on the whole batch."""

import os
import sys

# The stub process has the system's Python: the packages of the virtual environment come from bench/serve.ts.
sys.path.insert(0, os.environ["BENCH_SITE_PACKAGES"])

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import triton_python_backend_utils as triton  # noqa: E402


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        path = os.path.join(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name

    def execute(self, requests: list) -> list:
        arrays = [triton.get_input_tensor_by_name(request, self.input).as_numpy() for request in requests]
        batch = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        (results,) = self.session.run([self.output], {self.input: batch})
        ends = np.cumsum([len(array) for array in arrays])
        parts = np.split(results, ends[:-1])
        return [triton.InferenceResponse([triton.Tensor(self.output, part)]) for part in parts]
