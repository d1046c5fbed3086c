"""Train the demo's small UNetGN on generated images of cells, and write the files of `npm run demo`.

Writes demo/cells.png, an image outside the training set, demo/cells-truth.png, the mask of its
cells, and demo/unet-cells.safetensors: the weights (state_dict.*, rounded to float16 to keep the
file small) and, as a parity fixture, PyTorch's outputs for that image in float32 and float64.
"""

from __future__ import annotations

import argparse
import struct
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "fixtures"))

# Import this first: it chooses PyTorch's kernels.
from case import (  # noqa: E402
    Case,
    Outcome,
    configure_torch,
    run_case,
    stable_hash,
    write_fixture,
)

# isort: split
import torch  # noqa: E402
from cell_images import Sample, generate  # noqa: E402
from network import measured_tolerance  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402
from unet import UNetGN  # noqa: E402

FOLDER = ROOT / "demo"
OPTIONS = {"inChannels": 3, "numClasses": 2, "numGroups": 4, "width": 8}

STEPS = 700
BATCH = 8
TRAINING_IMAGES = 192
TRAINING_SIZE = 112
LEARNING_RATE = 4e-3
HELD_OUT_IMAGES = 16
DEMO_SIZE = (128, 192)
"""Height and width of the demo's image. Its tensors take 36 bytes a pixel, and all files < 2 MB."""
LEAST_IOU = 0.85

EPILOG = """\
Takes about two minutes on one core. It runs on one thread, which fixes the order of every sum:
the same versions of PyTorch and its libraries give the same bytes. Exit status: 0 done, 1 the
network did not learn to segment, and no file was written, 2 bad usage.
"""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    configure_torch()
    start = time.monotonic()
    model = train(options.steps)
    # Round before evaluating: the file holds the rounded weights.
    round_to_float16(model)
    iou = held_out_iou(model)
    print(f"{options.steps} steps in {time.monotonic() - start:.0f} s; held-out IoU {iou:.3f}")
    if iou < LEAST_IOU:
        print(f"train.py: the IoU is below {LEAST_IOU}: no file written", file=sys.stderr)
        return 1
    write(options.out, model, iou)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="train.py",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, default=FOLDER, metavar="DIR", help="folder to write to (default: demo)"
    )
    parser.add_argument(
        "--steps", type=_count, default=STEPS, metavar="N", help=f"training steps (default: {STEPS})"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def train(steps: int) -> nn.Module:
    """Train with Adam and a one-cycle learning rate on random images, turned and mirrored."""
    torch.manual_seed(stable_hash("unet-cells"))
    model = UNetGN(in_channels=3, num_classes=2, num_groups=4, width=8)
    images, masks = training_set()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    smoothed = 0.0
    for step in range(1, steps + 1):
        x, target = draw_batch(images, masks)
        optimizer.zero_grad()
        loss = cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        schedule.step()
        smoothed += (loss.item() - smoothed) / min(step, 20)
        progress(f"training, step {step} of {steps}, loss {smoothed:.4f}", step, steps)
    return model.eval()


def training_set() -> tuple[Tensor, Tensor]:
    samples: list[Sample] = []
    for index in range(TRAINING_IMAGES):
        progress(f"generating image {index + 1} of {TRAINING_IMAGES}", index + 1, TRAINING_IMAGES)
        samples.append(generate(TRAINING_SIZE, TRAINING_SIZE, generator_for(f"train/{index}")))
    return torch.stack([s.image for s in samples]), torch.stack([s.mask for s in samples])


def draw_batch(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    chosen = torch.randperm(len(images))[:BATCH]
    x, target = as_input(images[chosen]), masks[chosen]
    turns, mirrored = int(torch.randint(4, ())), int(torch.randint(2, ()))
    x, target = torch.rot90(x, turns, (2, 3)), torch.rot90(target, turns, (1, 2))
    return (x.flip(3), target.flip(2)) if mirrored else (x, target)


def as_input(image: Tensor) -> Tensor:
    """Scale 8 bits a channel to 0…1, as lib/images/image.ts does."""
    return image.float() / 255


def generator_for(name: str) -> torch.Generator:
    return torch.Generator().manual_seed(stable_hash(f"unet-cells/{name}"))


def progress(text: str, done: int, total: int) -> None:
    """Print one line that changes on a terminal; elsewhere ten lines in total."""
    if sys.stdout.isatty():
        print(f"\r{text}\x1b[K", end="\n" if done == total else "", flush=True)
    elif done * 10 // total > (done - 1) * 10 // total:
        print(text, flush=True)


def round_to_float16(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())


@torch.no_grad()
def held_out_iou(model: nn.Module) -> float:
    """Return the IoU of the class cell over the pixels of all held-out images."""
    both = either = 0
    for index in range(HELD_OUT_IMAGES):
        sample = generate(*DEMO_SIZE, generator_for(f"held-out/{index}"))
        found = model(as_input(sample.image[None])).argmax(1)[0]
        both += int((found & sample.mask).sum())
        either += int((found | sample.mask).sum())
    return both / either


def write(folder: Path, model: nn.Module, iou: float) -> None:
    sample = generate(*DEMO_SIZE, generator_for("demo"))
    outcome = reference(model, sample, iou)
    write_fixture(folder / "unet-cells.safetensors", outcome)
    write_png(folder / "cells.png", sample.image)
    write_png(folder / "cells-truth.png", (sample.mask[None] * 255).to(torch.uint8))
    used = f"{outcome.tolerance_used:.0%} of {outcome.metadata.get('atol', 'the default')}"
    print(f"PyTorch's own error from float64: {outcome.max_error:.1e}, tolerance used: {used}")
    for path in sorted(folder.glob("*cells*")):
        print(f"{path}  {path.stat().st_size} bytes")


def reference(model: nn.Module, sample: Sample, iou: float) -> Outcome:
    """Return the demo's image as a parity fixture, with weights that float16 holds exactly."""
    case = Case(
        graph="unet",
        name="cells",
        description=(
            "UNetGN trained by scripts/demo/train.py to find cells; input.x is demo/cells.png / 255, "
            "output.y the logits of background and cell. state_dict is rounded to float16, and the "
            f"outputs were computed with the rounded values. IoU on held-out images: {iou:.3f}."
        ),
        options=OPTIONS,
        module=lambda generator: model,
        inputs=lambda generator: {"x": as_input(sample.image[None])},
        own_tolerance=measured_tolerance,
    )
    outcome = run_case(case, seed=0)
    tensors = {
        key: value.half() if key.startswith("state_dict.") else value
        for key, value in outcome.tensors.items()
    }
    return replace(outcome, tensors=tensors)


def write_png(path: Path, image: Tensor) -> None:
    """Write (C, H, W) of uint8 as an 8-bit PNG without filters: C = 1 is grey, C = 3 is RGB."""
    channels, height, width = image.shape
    rows = image.permute(1, 2, 0).contiguous()
    raw = b"".join(b"\0" + row.numpy().tobytes() for row in rows)
    colour_type = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


if __name__ == "__main__":
    sys.exit(main())
