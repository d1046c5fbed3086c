"""Time the decoder of Stable Diffusion's VAE in PyTorch, or export it, for bench/vae.ts.

    python vae.py export FILE.onnx SIZE
    python vae.py eager|compile THREADS SIZE

SIZE is the height and width of the latents. Reads numbers of calls from stdin, and prints the milliseconds of a call. It
needs torch, onnxscript and diffusers (scripts/requirements.txt).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

# In place of this folder, whose pytorch.py would be imported by others.
sys.path[0] = str(Path(__file__).parent.parent / "scripts" / "fixtures")

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from values import fill_from_counter


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.vae = AutoencoderKL(
            block_out_channels=[128, 256, 512, 512],
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            layers_per_block=2,
        )
        del self.vae.encoder, self.vae.quant_conv

    def forward(self, z: Tensor) -> Tensor:
        return self.vae.decode(z, return_dict=False)[0]


def main(kind: str, argument: str, size: str) -> None:
    decoder = Decoder().eval()
    fill_from_counter(decoder.vae, 1)
    z = torch.randn(1, 4, int(size), int(size))
    if kind == "export":
        torch.onnx.export(decoder, (z,), argument, dynamo=True, external_data=False)
        return
    torch.set_num_threads(int(argument))
    run = torch.compile(decoder) if kind == "compile" else decoder
    with torch.inference_mode():
        run(z)
        for line in sys.stdin:
            start = time.perf_counter()
            for _ in range(int(line)):
                run(z)
            print(1e3 * (time.perf_counter() - start) / int(line), flush=True)


main(*sys.argv[1:])
