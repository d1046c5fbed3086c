"""The recipe that `convert --batch-norm-to-group-norm` follows, in PyTorch. docs/converting.md shows this function."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norm_to_group_norm(network: nn.Module, num_groups: int = 32, keep_affine: bool = False) -> None:
    """Replace each BatchNorm within a network by GroupNorm; groups are halved until they divide the channels."""
    replaced: dict[nn.Module, nn.Module] = {}
    for name, old in list(network.named_modules(remove_duplicate=False)):
        if not isinstance(old, _BatchNorm):
            continue
        if old not in replaced:
            groups = num_groups
            while old.num_features % groups:
                groups //= 2
            if hasattr(old, "act"):  # timm's BatchNormAct2d
                from timm.layers import GroupNormAct

                new = GroupNormAct(old.num_features, groups, old.eps, old.affine)
                new.drop, new.act = old.drop, old.act
            else:
                new = nn.GroupNorm(groups, old.num_features, old.eps, old.affine)
            if keep_affine and old.affine:
                new.weight, new.bias = old.weight, old.bias
            replaced[old] = new.to(old.running_mean)
        network.set_submodule(name, replaced[old])
