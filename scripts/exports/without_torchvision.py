"""Import before timm where torchvision's compiled half does not load, as beside a CPU build of PyTorch.

torchvision registers shape rules for its operators when it is imported, and fails where the operators do not exist.
The networks here use none of these operators, so a declaration of each is enough.
"""

import importlib.util
import re
from pathlib import Path

import torch

_library = torch.library.Library("torchvision", "FRAGMENT")


def _declare_operators() -> None:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    rules = Path(spec.origin).with_name("_meta_registrations.py").read_text()
    for names in set(re.findall(r'torchvision::(\w+)"|register_meta\("(\w+)"', rules)):
        name = "".join(names)
        if not hasattr(torch.ops.torchvision, name):
            _library.define(f"{name}(Tensor x) -> Tensor")


_declare_operators()
