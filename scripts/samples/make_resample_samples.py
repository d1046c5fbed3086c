"""Write test/samples/resample.json: what PyTorch computes for the sizes that images and scores are scaled to.

    python scripts/samples/make_resample_samples.py

Last run: torch 2.13.0.
"""

import json
from pathlib import Path

import torch

FILE = Path(__file__).resolve().parents[2] / "test" / "samples" / "resample.json"
SIZES = [((4, 6), (8, 12)), ((3, 5), (7, 5)), ((8, 12), (4, 3)), ((9, 7), (4, 3)), ((2, 2), (1, 5)), ((1, 1), (2, 3))]


def main() -> None:
    torch.manual_seed(0)
    cases = []
    for size, to in SIZES:
        x = torch.randn(1, 2, *size)
        y = torch.nn.functional.interpolate(x.double(), to, mode="bilinear", antialias=True)
        nearest = torch.nn.functional.interpolate(x, to, mode="nearest-exact")
        cases.append(
            {
                "size": size,
                "to": to,
                "x": x.flatten().tolist(),
                "bilinear": y.flatten().tolist(),
                "nearest": nearest.flatten().tolist(),
            }
        )
    FILE.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
