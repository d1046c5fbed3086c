"""Time a network in PyTorch or OpenVINO for bench/price.ts: read numbers of calls from stdin, and print the milliseconds.

    python peers.py eager|channels_last|compile NETWORK with|without THREADS SHAPE
    python peers.py openvino MODEL.onnx with|without THREADS SHAPE

NETWORK is unet or detection-backbone, the modules that scripts/fixtures/ has. `without` takes every GroupNorm out; a model
of OpenVINO comes without them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Call = Callable[[], object]


def pytorch(kind: str, name: str, has_norms: bool, threads: int, shape: list[int]) -> Call:
    import torch
    from torch import nn

    sys.path.insert(0, str(Path(__file__).parent.parent / "scripts" / "fixtures"))
    from resnet import DetectionBackbone
    from unet import UNetGN

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    network = {"unet": UNetGN, "detection-backbone": DetectionBackbone}[name]().eval()
    if not has_norms:
        for module in list(network.modules()):
            for child, norm in list(module.named_children()):
                if isinstance(norm, nn.GroupNorm):
                    setattr(module, child, nn.Identity())
    x = torch.randn(shape)
    if kind == "channels_last":
        network, x = network.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    run = torch.compile(network) if kind == "compile" else network

    def call() -> object:
        with torch.inference_mode():
            return run(x)

    return call


def openvino(path: str, threads: int, shape: list[int]) -> Call:
    import openvino as ov

    core = ov.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(core.read_model(path), "CPU", options)
    x = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    return lambda: compiled([x])


def main(kind: str, network: str, norms: str, threads: str, dims: str) -> None:
    shape = [int(dim) for dim in dims.split("x")]
    if kind == "openvino":
        call = openvino(network, int(threads), shape)
    else:
        call = pytorch(kind, network, norms == "with", int(threads), shape)
    for line in sys.stdin:
        call()
        start = time.perf_counter()
        for _ in range(int(line)):
            call()
        print(1e3 * (time.perf_counter() - start) / int(line), flush=True)


main(*sys.argv[1:])
