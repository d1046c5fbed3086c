"""Train the demo's small AutoencoderKL on generated images of cells, and write the files of `npm run demo -- vae`.

Writes demo/vae-cells.png, an image outside the training set, and demo/vae-cells.safetensors: the weights (state_dict.*,
rounded to float16 to keep the file small) and, as a parity fixture, PyTorch's outputs for that image in float32 and
float64.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "fixtures"))

# Import this first: it chooses PyTorch's kernels.
from case import Outcome, configure_torch, run_case, stable_hash, write_fixture  # noqa: E402

# isort: split
import torch  # noqa: E402
from autoencoder_kl import DOWN, UP, autoencoder_kl_case  # noqa: E402
from cell_images import generate  # noqa: E402
from diffusers import AutoencoderKL  # noqa: E402
from torch import Tensor  # noqa: E402
from train import progress, round_to_float16, write_png  # noqa: E402

FOLDER = ROOT / "demo"
CONFIG = {
    "block_out_channels": [16, 32, 48],
    "down_block_types": [DOWN] * 3,
    "up_block_types": [UP] * 3,
    "norm_num_groups": 8,
}

STEPS = 500
BATCH = 4
TRAINING_IMAGES = 96
TRAINING_SIZE = 48
LEARNING_RATE = 3e-3
KL_WEIGHT = 1e-5
"""Small, as in Rombach et al. 2022, section 3.1: it keeps the latents near a deviation of 1."""
HELD_OUT_IMAGES = 8
DEMO_SIZE = (96, 128)
LARGEST_ERROR = 0.08
"""The largest root mean square error of a sample from 0 to 1 on held-out images."""

EPILOG = """\
Takes some three minutes on one core. It runs on one thread, which fixes the order of every sum: the same versions of
PyTorch and its libraries give the same bytes. Exit status: 0 done, 1 the network did not learn, and no file was written,
2 bad usage.
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="train_vae.py",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="folder to write to (default: demo)")
    options = parser.parse_args(arguments)
    configure_torch()
    start = time.monotonic()
    model = train()
    # Round before evaluating: the file holds the rounded weights.
    round_to_float16(model)
    error = held_out_error(model)
    print(f"{STEPS} steps in {time.monotonic() - start:.0f} s; held-out error {error:.4f}")
    if error > LARGEST_ERROR:
        print(f"train_vae.py: the error is above {LARGEST_ERROR}: no file written", file=sys.stderr)
        return 1
    write(options.out, model, error)
    return 0


def train() -> AutoencoderKL:
    """Train with Adam and a one-cycle learning rate to reconstruct samples of the posterior."""
    torch.manual_seed(stable_hash("vae-cells"))
    model = AutoencoderKL(**CONFIG)
    images = training_set()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    smoothed = 0.0
    for step in range(1, STEPS + 1):
        x = as_input(images[torch.randperm(len(images))[:BATCH]])
        posterior = model.encode(x).latent_dist
        z = posterior.mean + posterior.std * torch.randn(posterior.mean.shape)
        y = model.decode(z).sample
        loss = (y - x).abs().mean() + KL_WEIGHT * posterior.kl().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        smoothed += (loss.item() - smoothed) / min(step, 20)
        progress(f"training, step {step} of {STEPS}, loss {smoothed:.4f}", step, STEPS)
    return model.eval()


def training_set() -> Tensor:
    return torch.stack([image_of(f"train/{i}", TRAINING_SIZE, TRAINING_SIZE) for i in range(TRAINING_IMAGES)])


def image_of(name: str, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(stable_hash(f"vae-cells/{name}"))
    return generate(height, width, generator).image


def as_input(image: Tensor) -> Tensor:
    """Scale 8 bits a channel to −1…1, as diffusers' VaeImageProcessor does."""
    return 2 * (image.float() / 255) - 1


@torch.no_grad()
def held_out_error(model: AutoencoderKL) -> float:
    """Return the root mean square error of a sample from 0 to 1."""
    images = torch.stack([image_of(f"held-out/{i}", *DEMO_SIZE) for i in range(HELD_OUT_IMAGES)])
    y = model(as_input(images)).sample.clamp(-1, 1)
    return ((y - as_input(images)) / 2).square().mean().sqrt().item()


def write(folder: Path, model: AutoencoderKL, error: float) -> None:
    image = image_of("demo", *DEMO_SIZE)
    outcome = reference(model, image, error)
    write_fixture(folder / "vae-cells.safetensors", outcome)
    write_png(folder / "vae-cells.png", image)
    print(f"PyTorch's own error from float64: {outcome.max_error:.1e}")
    for path in sorted(folder.glob("vae-cells*")):
        print(f"{path}  {path.stat().st_size} bytes")


def reference(model: AutoencoderKL, image: Tensor, error: float) -> Outcome:
    """Return the demo's image as a parity fixture, with weights that float16 holds exactly."""
    case = autoencoder_kl_case(
        "cells",
        "AutoencoderKL trained by scripts/demo/train_vae.py on images of cells; input.x is demo/vae-cells.png from −1 to 1. "
        "state_dict is rounded to float16, and the outputs were computed with the rounded values. Root mean square "
        f"error on held-out images, of samples from 0 to 1: {error:.4f}.",
        "autoencoder",
        (1, *DEMO_SIZE),
        CONFIG,
        x=lambda shape, generator: as_input(image[None]),
        counter=False,
    )

    def module(generator: torch.Generator) -> torch.nn.Module:
        made = case.module(generator)
        made.load_state_dict(model.state_dict())
        return made

    outcome = run_case(replace(case, module=module), seed=0)
    tensors = {
        key: value.half() if key.startswith("state_dict.") else value for key, value in outcome.tensors.items()
    }
    return replace(outcome, tensors=tensors)


if __name__ == "__main__":
    sys.exit(main())
