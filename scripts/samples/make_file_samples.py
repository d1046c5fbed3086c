"""Write the .npy, .npz and .safetensors samples of test/samples with the NumPy and safetensors packages.

    python scripts/samples/make_file_samples.py

The same versions give the same bytes. The values also stand as literals in test/files/npy.test.ts, test/files/npz.test.ts and
test/weights/safetensors.test.ts. Last run: numpy 2.4.6, torch 2.13.0, safetensors 0.8.0, ml_dtypes 0.6.0, on Linux.
"""

import json
import string
import warnings
from pathlib import Path

import ml_dtypes
import numpy as np
import torch
from numpy.lib import format as npy
from safetensors.torch import save_file

FILES = Path(__file__).resolve().parents[2] / "test" / "samples"
FLOATS = [0.0, -0.0, 1.5, -2.25, np.inf, np.nan]


def of_dtype(dtype: str) -> np.ndarray:
    kind = np.dtype(dtype).kind
    if kind == "f":
        return np.array(FLOATS, dtype).reshape(2, 3)
    if kind == "b":
        return np.array([True, False, True])
    limits = np.iinfo(dtype)
    return np.array([limits.min, 1, limits.max], dtype)


def write_npy(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for dtype in ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]:
        np.save(folder / f"{dtype}.npy", of_dtype(dtype))
    counted = np.arange(24, dtype="<i2").reshape(2, 3, 4)
    np.save(folder / "fortran.npy", np.asfortranarray(counted))
    np.save(folder / "big_endian.npy", counted.astype(">i2"))
    np.save(folder / "big_endian_fortran.npy", np.asfortranarray(counted.astype(">i2")))
    np.save(folder / "scalar.npy", np.array(2.5, "<f8"))
    np.save(folder / "empty.npy", np.zeros((0, 3), "<f4"))
    # NumPy leaves room for the first axis to grow: this header takes 192 bytes only with that room.
    np.save(folder / "axes.npy", np.zeros((1, 0, *[7] * 10, 100000), "i1"))
    np.save(folder / "strings.npy", np.array(["a", "bc"]))
    np.save(folder / "records.npy", np.zeros(2, [("x", "<f4"), ("y", "<i4")]))
    np.save(folder / "objects.npy", np.array([None], dtype=object), allow_pickle=True)
    for name in ["bfloat16", "float8_e4m3fn"]:
        np.save(folder / f"{name}.npy", np.array([1.5, -2.0, 0.0], getattr(ml_dtypes, name)))
    check_advice(folder)
    for version in [(2, 0), (3, 0)]:
        with open(folder / f"version_{version[0]}.npy", "wb") as file:
            npy.write_array(file, of_dtype("f4"), version)


def write_npz(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    counted = np.arange(24, dtype="<i2").reshape(2, 3, 4)
    arrays = {"x": of_dtype("f4"), "mask": of_dtype("b1"), "in/ü": np.asfortranarray(counted)}
    np.savez(folder / "arrays.npz", **arrays)
    np.savez_compressed(folder / "compressed.npz", **arrays)
    np.savez(folder / "one.npz", of_dtype("f8"))


def check_advice(folder: Path) -> None:
    """Run what decodeNpy's messages say converts the void arrays that NumPy loads from these files."""
    x = np.load(folder / "bfloat16.npy")
    assert ((x.view("<u2").astype("<u4") << 16).view("<f4") == [1.5, -2.0, 0.0]).all()
    x = np.load(folder / "float8_e4m3fn.npy")
    assert (x.view(ml_dtypes.float8_e4m3fn).astype("<f4") == [1.5, -2.0, 0.0]).all()


def write_npy_spellings(path: Path) -> None:
    """What NumPy reads as the dtype of a .npy file, and the dtype that it takes it for."""
    codes = [code + size for code in string.ascii_letters + "?" for size in ["", "1", "2", "4", "8", "16"]]
    names = [name for name in np.sctypeDict if isinstance(name, str)]
    spellings = {}
    for spelling in [order + name for order in ["", *"<>=|!"] for name in sorted({*codes, *names})]:
        try:
            dtype = npy.descr_to_dtype(spelling)
        except (TypeError, ValueError):
            continue
        # The import of ml_dtypes adds dtypes of its own.
        if dtype.kind in "fiub" and dtype.itemsize <= 8 and dtype.type.__module__ == "numpy":
            spellings[spelling] = dtype.str
    path.write_text(json.dumps(spellings, indent=0) + "\n")


def write_safetensors(folder: Path) -> None:
    tensors = {
        name: torch.tensor(FLOATS, dtype=getattr(torch, name)).reshape(2, 3)
        for name in ["float64", "float32", "float16", "bfloat16"]
    }
    for name in ["int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"]:
        tensors[name] = torch.from_numpy(of_dtype(name))
    tensors["bool"] = torch.tensor([True, False, True])
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 3)
    # A single key of metadata, because the package writes several keys in random order.
    save_file(tensors, folder / "dtypes.safetensors", {"text": 'é "quoted"\n'})
    save_file({}, folder / "empty.safetensors")
    save_file(float8_tensors(), folder / "float8.safetensors")
    checkpoint = {
        "complex": torch.tensor([1 + 2j]),
        "float4": torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
        "norm.weight": torch.tensor([1.5, 2.5]),
        "norm.bias": torch.tensor([0.5, -0.5]),
    }
    save_file(checkpoint, folder / "checkpoint.safetensors")


def float8_tensors() -> dict[str, torch.Tensor]:
    """Every byte as each 8-bit float, and beside it PyTorch's float32."""
    every_byte = torch.arange(256).to(torch.uint8)
    tensors = {}
    for form in ["e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz", "e8m0fnu"]:
        narrow = every_byte.clone().view(getattr(torch, f"float8_{form}"))
        tensors[form] = narrow.reshape(16, 16)
        tensors[f"{form}.float32"] = narrow.to(torch.float32).reshape(16, 16)
    return tensors


if __name__ == "__main__":
    # NumPy warns of `a`, a spelling of bytes.
    warnings.simplefilter("ignore", DeprecationWarning)
    write_npy(FILES / "npy")
    write_npz(FILES / "npz")
    write_npy_spellings(FILES / "npy-spellings.json")
    write_safetensors(FILES)
