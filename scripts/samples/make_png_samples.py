"""Write the PNG samples of test/samples/png: one picture in files that are damaged beside its pixels.

    python scripts/samples/make_png_samples.py

Pillow shows them as the picture, which the script checks. Last run: Pillow 13.0.0, NumPy 2.4.6.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "test" / "samples" / "png"
HEIGHT, WIDTH = 9, 13


def chunk(kind: bytes, content: bytes, crc: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + content) if crc is None else crc
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def picture() -> np.ndarray:
    """Slopes in each channel, for which Pillow chooses filters, and noise."""
    y, x, channel = np.mgrid[:HEIGHT, :WIDTH, :3]
    noise = np.random.default_rng(0).integers(0, 20, (HEIGHT, WIDTH, 3))
    return ((7 * x + 11 * y * (channel + 1) + noise) % 256).astype(np.uint8)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    pixels = picture()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    intact = file.getvalue()
    # Signature and header take 33 bytes, the last chunk 12, and Pillow writes one chunk of pixels between them.
    start, data, end = intact[:33], intact[41:-16], intact[-12:]
    assert intact == start + chunk(b"IDAT", data) + end
    raw = zlib.decompress(data)
    assert len(set(raw[:: 1 + 3 * WIDTH])) > 1, "one filter only"
    samples = {
        "intact": intact,
        "adler-missing": start + chunk(b"IDAT", data[:-4]) + end,
        "adler-wrong": start + chunk(b"IDAT", data[:-4] + b"\0\0\0\0") + end,
        "bytes-behind": start + chunk(b"IDAT", data + b"abc") + end,
        "rows-behind": start + chunk(b"IDAT", zlib.compress(raw + bytes(2 * (1 + 3 * WIDTH)))) + end,
        "no-end": start + chunk(b"IDAT", data),
        "crc-zero": start + chunk(b"IDAT", data, 0) + end,
        "crc-cut": start + chunk(b"IDAT", data)[:-3],
        "junk-behind": intact + b"junk",
    }
    for name, content in samples.items():
        (FOLDER / f"{name}.png").write_bytes(content)
        # Browsers, whose libpng only warns of it, show this file too; Pillow does if the file is large.
        if name != "adler-wrong":
            shown = np.asarray(Image.open(FOLDER / f"{name}.png"))
            assert (shown == pixels).all(), name
    np.save(FOLDER / "picture.npy", pixels)


if __name__ == "__main__":
    main()
