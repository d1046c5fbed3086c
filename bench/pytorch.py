"""Time PyTorch's GroupNorm for bench/native.ts: read numbers of calls from stdin, and print the milliseconds of a call.

`npm run bench:native -- --python PYTHON` runs it, with as many threads as ONNX Runtime uses.
"""

import sys
import time

import torch

# As in session-thread.ts.
SETTLE_SECONDS = 0.05


def turn(norm: torch.nn.GroupNorm, x: torch.Tensor, calls: int) -> float:
    start = time.perf_counter()
    while time.perf_counter() - start < SETTLE_SECONDS:
        norm(x)
    start = time.perf_counter()
    for _ in range(calls):
        norm(x)
    return 1e3 * (time.perf_counter() - start) / calls


def main(threads: int, shape: list[int]) -> None:
    torch.set_num_threads(threads)
    norm = torch.nn.GroupNorm(32, shape[1])
    x = torch.randn(shape)
    with torch.inference_mode():
        for line in sys.stdin:
            print(turn(norm, x, int(line)), flush=True)


main(int(sys.argv[1]), [int(dim) for dim in sys.argv[2].split("x")])
