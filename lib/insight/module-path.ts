/** The PyTorch module that a node was exported from, where the exporter left its path. */
import type { ModelNode } from '../onnx/node.js';

/** Returns the path of the module, as in `model.named_modules()`: `layer1.0.bn1`. */
export const moduleOf = (node: ModelNode): string | undefined =>
  fromScopes(node.metadata('pkg.torch.onnx.name_scopes')) ?? fromNodeName(node.name);

/** torch.export's: `['', 'layer1', 'layer1.0', 'layer1.0.bn1', 'group_norm']`. The last name is that of the operation. */
function fromScopes(scopes: string | undefined): string | undefined {
  const names = scopes?.match(/'[^']*'/g)?.map((name) => name.slice(1, -1));
  return names?.at(-2) || undefined;
}

/**
 * TorchScript's: `/layer1/layer1.0/bn1/InstanceNormalization`. Each part is the name of a module in the module that calls
 * it. Modules in a Sequential or ModuleList have that name too, as their own first part.
 */
function fromNodeName(name: string): string | undefined {
  const parts = name.startsWith('/') ? name.split('/').slice(1, -1) : [];
  const kept = parts.filter((part, index) => !parts[index + 1]?.startsWith(`${part}.`));
  return kept.length > 0 ? kept.join('.') : undefined;
}
