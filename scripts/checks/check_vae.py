"""Check the full-size VAEs of Stable Diffusion 1.5, XL and 3 against diffusers in float32 and float64.

    python scripts/checks/check_vae.py [SIZE]

SIZE is the height and width of the latents (default 8; the picture is 8 times as large). The parameters come from a seed
that TypeScript and Python share. Fails if a result is further from float64 than three times PyTorch's own distance. The
VAEs of Stable Diffusion 1.5 and XL are the same network. Needs 2 GB of memory and the packages of scripts/requirements.txt.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "fixtures"))

# Import this first: it chooses PyTorch's kernels.
from case import configure_torch, run_case, write_fixture  # noqa: E402

# isort: split
from autoencoder_kl import autoencoder_kl_case  # noqa: E402

SD_1 = {"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "norm_num_groups": 32}
SD_3 = {**SD_1, "latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False}
MOST = 3
"""How many times PyTorch's distance from float64 ours may be."""


def main(size: int) -> int:
    configure_torch()
    with tempfile.TemporaryDirectory() as folder:
        for name, config in {"sd-1": SD_1, "sd-3": SD_3}.items():
            for part, side in {"encoder": 8 * size, "decoder": size}.items():
                case = autoencoder_kl_case(f"{name}-{part}", "Full size.", part, (1, side, side), config)
                write_fixture(Path(folder) / f"{name}-{part}.safetensors", run_case(case, seed=1))
        command = ["node", "--import", "tsx", "lib/cli/main.ts", "parity", folder, "--provider", "native"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout, done.stderr[-2000:] if done.returncode else "")
    distances = re.findall(r"([\d.]+e[-+]\d+) / ([\d.]+e[-+]\d+)", done.stdout)
    ratios = [float(ours) / float(theirs) for ours, theirs in distances]
    print(f"distance from float64 over PyTorch's own: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    return 0 if done.returncode == 0 and len(ratios) == 4 and max(ratios) <= MOST else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8))
