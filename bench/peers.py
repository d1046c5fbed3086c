"""Time a network in PyTorch or OpenVINO for bench/price.ts: read numbers of calls from stdin, and print the milliseconds.

    python peers.py eager|channels_last|compile NETWORK with|without THREADS SHAPE
    python peers.py openvino|openvino_dynamic MODEL.onnx with|without THREADS SHAPE

NETWORK is unet or detection-backbone, the modules that scripts/fixtures/ has, or a model of scripts/exports/make_exports.py.
`without` takes every GroupNorm out, as bench/norm-free.ts does; a model of OpenVINO comes without them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], object]

SCRIPTS = Path(__file__).parent.parent / "scripts"
# Runs of this many milliseconds do not need a run that does not count before them.
LONG_MS = 200


def module(name: str) -> Any:
    if name in ("unet", "detection-backbone"):
        sys.path.insert(0, str(SCRIPTS / "fixtures"))
        from resnet import DetectionBackbone
        from unet import UNetGN

        return {"unet": UNetGN, "detection-backbone": DetectionBackbone}[name]()
    sys.path.insert(0, str(SCRIPTS / "exports"))
    from make_exports import MODELS

    return MODELS[name]()[0]


def take_norms_out(network: Any, x: Any) -> None:
    """Fold each GroupNorm with the statistics of a run into the convolution before it; leave the others out."""
    import torch
    from torch import nn

    norms = {norm for norm in network.modules() if isinstance(norm, nn.GroupNorm)}
    made_by: dict[int, nn.Module] = {}
    kept: list[torch.Tensor] = []  # keeps the tensors, so that no later tensor gets the id of a deleted tensor
    folds: dict[nn.Module, tuple[nn.Conv2d, torch.Tensor, torch.Tensor]] = {}

    def after_conv(conv: nn.Module, _: object, y: torch.Tensor) -> None:
        made_by[id(y)] = conv
        kept.append(y)

    def after_norm(norm: nn.GroupNorm, inputs: tuple[torch.Tensor], _: object) -> None:
        conv = made_by.get(id(inputs[0]))
        if conv is None:
            return
        rows = inputs[0].reshape(norm.num_groups, -1)
        of_channels = norm.num_channels // norm.num_groups
        mean = rows.mean(1).repeat_interleave(of_channels)
        deviation = (rows.var(1, correction=0) + norm.eps).sqrt().repeat_interleave(of_channels)
        scale = norm.weight / deviation
        folds[norm] = (conv, scale, norm.bias - mean * scale)

    hooks = [one.register_forward_hook(after_conv) for one in network.modules() if isinstance(one, nn.Conv2d)]
    hooks += [norm.register_forward_hook(after_norm) for norm in norms]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    for conv, scale, shift in folds.values():
        bias = torch.zeros_like(shift) if conv.bias is None else conv.bias
        conv.weight = nn.Parameter(conv.weight * scale[:, None, None, None], requires_grad=False)
        conv.bias = nn.Parameter(bias * scale + shift, requires_grad=False)
    for norm in norms:
        # timm's GroupNormAct applies its activation itself.
        norm.forward = getattr(norm, "act", nn.Identity()).forward


def pytorch(kind: str, name: str, has_norms: bool, threads: int, shape: list[int]) -> Call:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    network = module(name).eval()
    x = torch.randn(shape)
    if not has_norms:
        take_norms_out(network, x)
    if kind == "channels_last":
        network, x = network.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    run = torch.compile(network) if kind == "compile" else network

    def call() -> object:
        with torch.inference_mode():
            return run(x)

    return call


def openvino(path: str, is_dynamic: bool, threads: int, shape: list[int]) -> Call:
    import openvino as ov

    core = ov.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    model = core.read_model(path)
    model.reshape([shape[0], shape[1], -1, -1] if is_dynamic else shape)
    compiled = core.compile_model(model, "CPU", options)
    x = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    return lambda: compiled([x])


def main(kind: str, network: str, norms: str, threads: str, dims: str) -> None:
    shape = [int(dim) for dim in dims.split("x")]
    if kind.startswith("openvino"):
        call = openvino(network, kind == "openvino_dynamic", int(threads), shape)
    else:
        call = pytorch(kind, network, norms == "with", int(threads), shape)
    last = 0.0
    for line in sys.stdin:
        if last < LONG_MS:
            call()
        start = time.perf_counter()
        for _ in range(int(line)):
            call()
        last = 1e3 * (time.perf_counter() - start) / int(line)
        print(last, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
