"""Run the U-Net of Stable Diffusion 1.5 in PyTorch, and check the model that check-unet.ts writes.

    python scripts/checks/check_unet.py reference REFERENCE.safetensors SEED
    python scripts/checks/check_unet.py model MODEL.onnx REFERENCE.safetensors
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))


def reference(path: str, seed: int) -> None:
    """Write inputs, the results of PyTorch in float32, and those in float64."""
    import torch
    from diffusers_unets import NamedUNet2DCondition
    from safetensors.torch import save_file
    from values import counter_uniform, fill_from_counter

    def floats(name: str, *shape: int) -> torch.Tensor:
        values = 2 * counter_uniform(seed, f"input.{name}", torch.Size(shape).numel()) - 1
        return torch.from_numpy(values).reshape(shape).float()

    inputs = {
        "sample": floats("sample", 1, 4, 64, 64),
        "timestep": torch.tensor([801]),
        "encoder_hidden_states": floats("encoder_hidden_states", 1, 77, 768),
    }
    module = NamedUNet2DCondition(cross_attention_dim=768).eval()
    module.input_names = tuple(inputs)
    fill_from_counter(module, seed)
    with torch.no_grad():
        started = time.perf_counter()
        output = module(*inputs.values())
        print(f"PyTorch in float32: {time.perf_counter() - started:.1f} s", flush=True)
        truth = module.double()(*(x.double() if x.is_floating_point() else x for x in inputs.values()))
    tensors = {f"input.{name}": x for name, x in inputs.items()}
    save_file({**tensors, "output.y": output.contiguous(), "truth.y": truth.contiguous()}, path)


def model(path: str, reference_path: str) -> None:
    """Check the model by ONNX's checker and Python's onnxruntime."""
    import numpy as np
    import onnx
    import onnxruntime
    from safetensors.numpy import load_file

    onnx.checker.check_model(path, full_check=True)
    tensors = load_file(reference_path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {input.name: tensors[f"input.{input.name}"] for input in session.get_inputs()}
    (y,) = session.run(None, feeds)
    print(f"onnx.checker passes; onnxruntime {onnxruntime.__version__} in Python: distance "
          f"{np.abs(y - tensors['truth.y']).max():.2e}", flush=True)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "reference":
        reference(arguments[0], int(arguments[1]))
    else:
        model(*arguments)
