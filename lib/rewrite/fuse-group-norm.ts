/** GroupNormalization with what follows it as one operator of our own, for a runtime that has a kernel for that. */
import { DEFAULT_EPSILON } from '../graph/ops/normalization.js';
import { float, int, string } from '../graph/attr.js';
import { type Node, Value } from '../graph/types.js';
import { FUSED_DOMAIN, FUSED_OP } from '../lowering/types.js';
import type { Model } from '../onnx/model.js';
import type { ModelNode } from '../onnx/node.js';
import { type Shape, UNKNOWN_DIM } from '../tensor.js';
import { isOp, outputOf, Uses } from './graph-uses.js';
import { isGroupNorm } from './group-normalization.js';
import { ValueTypes } from './value-types.js';

/** A GroupNormalization and the nodes behind it that become one. */
interface Chain {
  readonly norm: ModelNode;
  /** What is added to the result, if anything is. */
  readonly residual?: string;
  readonly activation: 'relu' | 'silu';
  /** Every node of the chain but the last, whose place the fused one takes. */
  readonly inner: readonly ModelNode[];
  readonly last: ModelNode;
}

/**
 * Fuses GroupNormalization → Relu, GroupNormalization → Sigmoid · Mul (SiLU) and GroupNormalization → Add → Relu,
 * where nothing else reads what lies between, and the addends are known to have one shape.
 * @returns How many were fused.
 */
export function fuseGroupNorm(model: Model, types = new ValueTypes(model)): number {
  // The body of an If or Loop may read any value of the graph, which `nodes` does not show.
  if (model.nestedOpTypes().size > 0) return 0;
  const uses = new Uses(model);
  const byLast = new Map<string, Chain>();
  for (const norm of model.nodes.filter(isRunByKernel)) {
    const chain = findChain(types, uses, norm);
    // Where two normalizations are added, the first has it, and the other is its residual.
    if (chain && !byLast.has(outputOf(chain.last))) byLast.set(outputOf(chain.last), chain);
  }
  const chains = [...byLast.values()];
  if (chains.length === 0) return 0;
  const inner = new Set(chains.flatMap((chain) => chain.inner.map(outputOf)));
  model.replaceNodes((node) => {
    const chain = byLast.get(outputOf(node));
    if (chain) return { nodes: [fusedNode(chain)], constants: [] };
    return inner.has(outputOf(node)) ? { nodes: [], constants: [] } : undefined;
  });
  model.importDomain(FUSED_DOMAIN, 1);
  return chains.length;
}

/**
 * The standard operator, or the kernel under its own name with nothing fused to it yet. An operator without groups is
 * left, to be refused: under that name 0 is one group per channel.
 */
const isRunByKernel = (node: ModelNode): boolean =>
  (isGroupNorm(node) && (node.number('num_groups') ?? 0) > 0) ||
  (node.domain === FUSED_DOMAIN && node.opType === FUSED_OP && node.text('activation') === 'none');

function findChain(types: ValueTypes, uses: Uses, norm: ModelNode): Chain | undefined {
  const readers = uses.onlyReaders(outputOf(norm));
  const [first, second] = readers;
  if (!first || readers.length > 2) return undefined;
  if (second) return siluChain(uses, norm, readers);
  if (isOp(first, 'Relu')) return { norm, activation: 'relu', inner: [norm], last: first };
  return isOp(first, 'Add') ? residualChain(types, uses, norm, first) : undefined;
}

/** norm → Sigmoid, and the product of both. */
function siluChain(uses: Uses, norm: ModelNode, readers: readonly ModelNode[]): Chain | undefined {
  const sigmoid = readers.find((node) => isOp(node, 'Sigmoid'));
  const mul = readers.find((node) => isOp(node, 'Mul'));
  if (!sigmoid || !mul?.inputs.includes(outputOf(sigmoid))) return undefined;
  if (uses.onlyReaders(outputOf(sigmoid)).length !== 1) return undefined;
  return { norm, activation: 'silu', inner: [norm, sigmoid], last: mul };
}

/** norm + residual → Relu. */
function residualChain(types: ValueTypes, uses: Uses, norm: ModelNode, add: ModelNode): Chain | undefined {
  const residual = add.inputs.find((name) => name !== outputOf(norm));
  const [relu, ...others] = uses.onlyReaders(outputOf(add));
  if (residual === undefined || !relu || others.length > 0 || !isOp(relu, 'Relu')) return undefined;
  if (!sameShape(types.typeOf(norm.inputs[0]).shape, types.typeOf(residual).shape)) return undefined;
  return { norm, residual, activation: 'relu', inner: [norm, add], last: relu };
}

/** Add would broadcast another shape; the kernel does not. */
const sameShape = (a: Shape | undefined, b: Shape | undefined): boolean =>
  a !== undefined && a.length === b?.length && a.every((dim, axis) => dim !== UNKNOWN_DIM && dim === b[axis]);

function fusedNode({ norm, residual, activation, last }: Chain): Node {
  const inputs = [...norm.inputs.slice(0, 3), ...(residual === undefined ? [] : [residual])];
  return {
    name: norm.name,
    domain: FUSED_DOMAIN,
    opType: FUSED_OP,
    inputs: inputs.map(reference),
    outputs: [reference(outputOf(last))],
    attributes: {
      num_groups: int(norm.number('num_groups') ?? 0),
      epsilon: float(norm.number('epsilon') ?? DEFAULT_EPSILON),
      activation: string(activation),
    },
  };
}

/** A value by its name, which is all that is written of it. */
const reference = (name: string): Value => new Value({}, 'node', name, 'float32', []);
