"""PyTorch's GroupNorm on the shapes of bench/native.ts: prints {shape: milliseconds} as JSON.

Run by `npm run bench:native -- --python PYTHON`, with as many threads as ONNX Runtime takes.
"""

import json
import statistics
import sys
import time

import torch

THREADS, ROUNDS, *SHAPES = sys.argv[1:]


def milliseconds(shape: list[int]) -> float:
    norm = torch.nn.GroupNorm(32, shape[1])
    x = torch.randn(shape)
    times = []
    with torch.inference_mode():
        for _ in range(int(ROUNDS) + 3):
            start = time.perf_counter()
            norm(x)
            times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times[3:])


torch.set_num_threads(int(THREADS))
print(json.dumps({shape: milliseconds([int(n) for n in shape.split("x")]) for shape in SHAPES}))
