"""Write demo/norms.json: what PyTorch computes for `npm run demo -- norms`.

    python scripts/demo/norms.py

One sample stands in batches of 1 to 32 samples, with 32 sets of neighbours for each size.
Each normalization gives the sample an output in each set. The figures are the mean and the
deviation of its output in the first set, and how far the sets move it: the root mean square
distance of an element from its mean over the sets. scripts/demo/norms.ts computes the same.

Last run: torch 2.13.0.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "fixtures"))

import torch  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from values import counter_uniform  # noqa: E402

FILE = ROOT / "demo" / "norms.json"
SHAPE = (8, 6, 6)
GROUPS = 4
BATCH_SIZES = [1, 2, 4, 8, 32]
SETS = 32
SAMPLES = 1 + SETS * (max(BATCH_SIZES) - 1)

NORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "layer_norm": lambda x: F.layer_norm(x, x.shape[1:]),
    "group_norm": lambda x: F.group_norm(x, GROUPS),
    "instance_norm": lambda x: F.instance_norm(x),
}


def sample(index: int) -> Tensor:
    """Return sample `index`: uniform numbers with a brightness and a contrast of its own."""
    numbers = counter_uniform(0, f"sample {index}", 2 + SHAPE[0] * SHAPE[1] * SHAPE[2])
    brightness, contrast = 2 * numbers[0] - 1, 0.5 + numbers[1]
    values = brightness + contrast * (2 * numbers[2:] - 1)
    return torch.from_numpy(values).float().reshape(SHAPE)


def figures(norm: Callable[[Tensor], Tensor], samples: list[Tensor], size: int) -> dict[str, float]:
    neighbours = [samples[1 + i * (max(BATCH_SIZES) - 1) :][: size - 1] for i in range(SETS)]
    outputs = [norm(torch.stack([samples[0], *others]))[0].double() for others in neighbours]
    moved = torch.stack(outputs) - torch.stack(outputs).mean(0)
    return {
        "mean": outputs[0].mean().item(),
        "deviation": outputs[0].std(correction=0).item(),
        "move": moved.square().mean().sqrt().item(),
    }


def main() -> None:
    samples = [sample(index) for index in range(SAMPLES)]
    content = {
        "framework": f"torch {torch.__version__.split('+')[0]}",
        "batchSizes": BATCH_SIZES,
        "norms": {
            name: [figures(norm, samples, size) for size in BATCH_SIZES]
            for name, norm in NORMS.items()
        },
    }
    FILE.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
