import torch
from safetensors.torch import save_file


def save_activations(model, inputs, path):  # inputs: the tensors by the names of the ONNX model's inputs
    tensors, calls = {f"input.{name}": x.clone() for name, x in inputs.items()}, {}

    def hook(name):
        def save(module, args, output):
            calls[name] = calls.get(name, 0) + 1
            key = name if calls[name] == 1 else f"{name}@{calls[name]}"
            several = enumerate(output) if isinstance(output, (tuple, list)) else ()
            found = {key: output, **{f"{key}[{i}]": x for i, x in several}}
            tensors.update({k: x.clone() for k, x in found.items() if isinstance(x, torch.Tensor)})
        return save

    hooks = [m.register_forward_hook(hook(name or "output")) for name, m in model.named_modules()]
    with torch.no_grad():
        model(*inputs.values())
    [one.remove() for one in hooks]
    save_file({k: x.cpu().contiguous() for k, x in tensors.items()}, path)
