"""PyTorch's GroupNorm for bench/group-norm.ts and bench/accuracy.ts.

    python pytorch.py time THREADS SHAPE: read numbers of calls from stdin, and print the milliseconds of a call
    python pytorch.py once SHAPE INPUT OUTPUT: normalize the float32 numbers in a file

SHAPE is such as 1x320x64x64.
"""

import sys
import time

import numpy as np
import torch

# As in session-threads.ts.
SETTLE_SECONDS = 0.05
GROUPS = 32


def turn(norm: torch.nn.GroupNorm, x: torch.Tensor, calls: int) -> float:
    start = time.perf_counter()
    while time.perf_counter() - start < SETTLE_SECONDS:
        norm(x)
    start = time.perf_counter()
    for _ in range(calls):
        norm(x)
    return 1e3 * (time.perf_counter() - start) / calls


def time_calls(threads: str, dims: str) -> None:
    torch.set_num_threads(int(threads))
    shape = [int(dim) for dim in dims.split("x")]
    norm, x = torch.nn.GroupNorm(GROUPS, shape[1]), torch.randn(shape)
    for line in sys.stdin:
        print(turn(norm, x, int(line)), flush=True)


def once(dims: str, source: str, target: str) -> None:
    shape = [int(dim) for dim in dims.split("x")]
    x = torch.from_numpy(np.fromfile(source, dtype=np.float32)).reshape(shape)
    torch.nn.GroupNorm(GROUPS, shape[1])(x).numpy().tofile(target)


if __name__ == "__main__":
    with torch.inference_mode():
        {"time": time_calls, "once": once}[sys.argv[1]](*sys.argv[2:])
