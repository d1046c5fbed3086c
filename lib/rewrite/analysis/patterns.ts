/** What passes share to match chains of nodes and to replace them. */
import { Value } from '../../graph/types.js';
import type { Fragment } from '../../lowering/lower.js';
import type { GraphIndex } from '../../onnx/graph/graph-index.js';
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { problemOf } from './node-checks.js';
import type { ValueTypes } from './value-types.js';

/** Returns whether a node is an operator of ONNX. */
export const isOp = ({ domain, opType }: ModelNode, name: string): boolean =>
  domain === '' && opType === name;

/** Returns the first output, which is the only one of most nodes. */
export const outputOf = ({ outputs }: ModelNode): string => outputs[0]!;

/** Returns the only reader of a node's first output, if it is the operator `opType`. */
export function onlyReader(
  { index }: { readonly index: GraphIndex },
  node: ModelNode,
  opType: string,
): ModelNode | undefined {
  const reader = index.onlyReader(outputOf(node));
  return reader && isOp(reader, opType) ? reader : undefined;
}

/** Returns the nodes that a node's inputs come from: `undefined` for inputs of the graph and initializers. */
export const producers = ({ index }: Model, { inputs }: ModelNode): (ModelNode | undefined)[] =>
  inputs.map((name) => index.producer(name));

/**
 * Returns whether the arithmetic of a graph, a body or a function is ONNX's own and broadcasts as NumPy does: from opset 7 on.
 * Before, Add and Mul had attributes that say along which axes. Nodes of bodies and functions were not checked before, and must
 * have the inputs and outputs of their operators.
 */
export const hasKnownArithmetic = ({ model, inside, index }: ValueTypes): boolean =>
  model.opset >= 7 &&
  !model.redefinesOperators() &&
  (!inside || index.nodes.every((node) => problemOf(node, model.opset) === undefined));

/** Nodes that one fragment replaces. */
export interface Chain {
  /** The node whose place the fragment takes. */
  readonly last: ModelNode;
  /** The other nodes, which are removed. */
  readonly inner: readonly ModelNode[];
}

/** Replaces chains of nodes. Returns how many there are: 0 if the model is not modified. */
export function replaceChains<Found extends Chain>(
  model: Model,
  chains: readonly Found[],
  replacement: (chain: Found) => Fragment,
): number {
  if (chains.length === 0) return 0;
  const byLast = new Map(chains.map((chain) => [outputOf(chain.last), chain]));
  const inner = new Set(chains.flatMap((chain) => chain.inner.map(outputOf)));
  model.replaceNodes((node) => {
    const chain = byLast.get(outputOf(node));
    if (chain) return replacement(chain);
    return inner.has(outputOf(node)) ? REMOVED : undefined;
  });
  return chains.length;
}

/** The fragment that removes a node. */
export const REMOVED: Fragment = { nodes: [], constants: [] };

/** Makes a value that stands for its name, the only part of it that is encoded. */
export const reference = (name: string): Value => new Value({}, 'node', name, 'float32', []);
