/**
 * GroupNorm in ONNX Runtime's blocked layout, in a graph that ONNX Runtime has optimized for this machine. It runs 2-D
 * convolutions on blocked tensors (`blocked-operators.ts` says what these are), and enters and leaves the layout around
 * operators that it does not know:
 *
 *     Conv → ReorderOutput → FusedGroupNormalization → ReorderInput → Conv        (the two Conv of com.microsoft.nchwc)
 *
 * becomes
 *
 *     Conv → BlockedGroupNormalization → Conv
 *
 * Each operator that can run on blocked tensors does so where that saves reorders; a tensor that has both kinds of readers is
 * reordered once. No operator changes its place, and no result changes but for the order in which GroupNorm adds up.
 */
import { int } from '../../graph/attr.js';
import type { Node } from '../../graph/types.js';
import { FUSED_DOMAIN, NCHWC_DOMAIN } from '../../lowering/types.js';
import { freshName, type Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { asBlockedOperator, type BlockedNames, type BlockedOperator, isNorm, nodeOf } from './operators.js';
import { isOp, outputOf, REMOVED } from '../analysis/patterns.js';

/**
 * Rewrites a graph that ONNX Runtime has optimized.
 * @param block The channels of a block on this machine.
 * @returns How many GroupNorms run on blocked tensors: 0 if the model is not modified.
 */
export function useBlockedLayout(model: Model, block: number): number {
  if (model.redefinesOperators()) return 0;
  const graph = new LayoutGraph(model, block);
  const chosen = chooseBlocked(graph);
  const norms = [...chosen].filter(({ node }) => isNorm(node)).length;
  if (norms > 0) rewrite(model, graph, chosen);
  return norms;
}

/** A tensor of the graph, and who makes and reads it in which layout. */
interface Tensor {
  readonly name: string;
  /** `undefined` unless an operator may read or make it blocked. */
  channels: number | undefined;
  /** `reorder` if it is the plain form of a blocked tensor. `undefined` for all other plain tensors. */
  source: BlockedOperator | 'reorder' | undefined;
  /** The operators that may read it blocked. */
  readonly readers: BlockedOperator[];
  /** Whether a node that needs plain tensors, or the caller of the model, reads it. */
  isReadPlain: boolean;
  /** Whether a node that needs blocked tensors reads it. */
  isReadBlocked: boolean;
  /** The name of its blocked form, if the graph has one. */
  blocked: string | undefined;
}

/** The tensors of a graph and the operators that may run on blocked tensors, in the order of the graph. */
class LayoutGraph {
  readonly operators: BlockedOperator[] = [];
  readonly #tensors = new Map<string, Tensor>();

  constructor(model: Model, block: number) {
    const channelsOf = (name: string) => this.#channelsOf(model, name);
    for (const node of model.nodes) {
      const operator = asBlockedOperator(node, { model, block, channelsOf });
      if (operator) this.#add(operator);
      else if (isReorder(node, 'ReorderOutput')) {
        const tensor = this.tensor(outputOf(node));
        tensor.source = 'reorder';
        tensor.channels = node.number('channels');
        tensor.blocked = node.inputs[0];
      } else if (isReorder(node, 'ReorderInput') && this.tensor(node.inputs[0]!).blocked === undefined) {
        const tensor = this.tensor(node.inputs[0]!);
        tensor.isReadBlocked = true;
        tensor.blocked = outputOf(node);
      } else for (const name of model.index.readsOf(node)) this.tensor(name).isReadPlain = true;
    }
    for (const name of model.outputNames) this.tensor(name).isReadPlain = true;
  }

  tensor(name: string): Tensor {
    const known = this.#tensors.get(name);
    if (known) return known;
    const tensor = {
      name,
      channels: undefined,
      source: undefined,
      readers: [],
      isReadPlain: false,
      isReadBlocked: false,
      blocked: undefined,
    };
    this.#tensors.set(name, tensor);
    return tensor;
  }

  /** Returns the tensors that an operator reads or makes, each once. */
  around({ node, reads }: BlockedOperator): Tensor[] {
    return [...new Set([...reads, outputOf(node)])].map((name) => this.tensor(name));
  }

  #add(operator: BlockedOperator): void {
    const { node, reads, channels } = operator;
    this.operators.push(operator);
    for (const name of new Set(reads)) this.tensor(name).readers.push(operator);
    for (const name of node.inputs) if (!reads.includes(name)) this.tensor(name).isReadPlain = true;
    const result = this.tensor(outputOf(node));
    result.source = operator;
    result.channels = channels;
  }

  #channelsOf(model: Model, name: string): number | undefined {
    const tensor = this.tensor(name);
    if (tensor.source !== undefined) return tensor.channels;
    const { dtype, shape } = model.typeOf(name) ?? {};
    const channels = dtype === 'float32' && shape?.length === 4 ? shape[1] : undefined;
    tensor.channels = typeof channels === 'number' && canEnter(channels) ? channels : undefined;
    return tensor.channels;
  }
}

const isReorder = (node: ModelNode, opType: 'ReorderInput' | 'ReorderOutput'): boolean =>
  node.domain === NCHWC_DOMAIN && node.opType === opType && (node.number('channels_last') ?? 0) === 0;

/** ReorderInput takes no other number of channels. */
const canEnter = (channels: number): boolean => channels % 4 === 0;

type Chosen = ReadonlySet<BlockedOperator>;

const isMadeBlocked = ({ source }: Tensor, chosen: Chosen): boolean =>
  source === 'reorder' || (source !== undefined && chosen.has(source));

const isReadPlain = ({ isReadPlain, readers }: Tensor, chosen: Chosen): boolean =>
  isReadPlain || readers.some((reader) => !chosen.has(reader));

const isReadBlocked = ({ isReadBlocked, readers }: Tensor, chosen: Chosen): boolean =>
  isReadBlocked || readers.some((reader) => chosen.has(reader));

/** More than all reorders of a graph. */
const IMPOSSIBLE = 2 ** 40;

/** Returns what the reorder of a tensor costs, in channels; 0 if it needs no reorder. */
function costOf(tensor: Tensor, chosen: Chosen): number {
  const { channels = 0 } = tensor;
  if (isMadeBlocked(tensor, chosen)) return isReadPlain(tensor, chosen) ? channels : 0;
  if (!isReadBlocked(tensor, chosen)) return 0;
  return canEnter(channels) ? channels : IMPOSSIBLE;
}

/**
 * Chooses the operators that run on blocked tensors: at first all. Then each goes back to plain tensors where that costs no
 * more, and at last each group of operators that are connected, if it saves nothing as a whole.
 */
function chooseBlocked(graph: LayoutGraph): Set<BlockedOperator> {
  const chosen = new Set(graph.operators);
  const cost = (tensors: Iterable<Tensor>, set: Chosen = chosen) =>
    [...tensors].reduce((sum, tensor) => sum + costOf(tensor, set), 0);
  const waiting = [...graph.operators];
  for (const operator of waiting) {
    if (!chosen.has(operator)) continue;
    const around = graph.around(operator);
    const blocked = cost(around);
    chosen.delete(operator);
    if (cost(around) > blocked) chosen.add(operator);
    else waiting.push(...neighbours(around, chosen));
  }
  for (const group of groupsOf(graph, chosen)) {
    const tensors = new Set(group.flatMap((operator) => graph.around(operator)));
    const without = new Set([...chosen].filter((operator) => !group.includes(operator)));
    if (cost(tensors) >= cost(tensors, without)) for (const operator of group) chosen.delete(operator);
  }
  return chosen;
}

/** Returns the chosen operators that make or read a tensor of a list. */
const neighbours = (tensors: readonly Tensor[], chosen: Chosen): BlockedOperator[] =>
  tensors
    .flatMap(({ source, readers }) => [source, ...readers])
    .filter((one): one is BlockedOperator => typeof one === 'object' && chosen.has(one));

/** Returns the groups of chosen operators that tensors connect. */
function groupsOf(graph: LayoutGraph, chosen: Chosen): BlockedOperator[][] {
  const seen = new Set<BlockedOperator>();
  const groups: BlockedOperator[][] = [];
  for (const first of chosen) {
    if (seen.has(first)) continue;
    const group = new Set([first]);
    for (const operator of group)
      for (const next of neighbours(graph.around(operator), chosen)) group.add(next);
    for (const operator of group) seen.add(operator);
    groups.push([...group]);
  }
  return groups;
}

function rewrite(model: Model, graph: LayoutGraph, chosen: Chosen): void {
  const operators = new Map([...chosen].map((operator) => [operator.node, operator]));
  const taken = model.names();
  const names: BlockedNames = {
    fresh: (base) => freshName(base, taken),
    blocked: (name) => {
      const tensor = graph.tensor(name);
      return (tensor.blocked ??= freshName(`${name}/blocked`, taken));
    },
  };
  const entered = new Set<Tensor>();
  const vanished = new Set<string>();
  model.replaceNodes((node) => {
    const operator = operators.get(node);
    if (!operator) return isSuperfluous(node) ? REMOVED : undefined;
    const made = operator.write(names);
    return { ...made, nodes: [...entering(operator), ...made.nodes, ...leaving(operator)] };
  });
  model.importDomain(FUSED_DOMAIN, 1);
  model.removeDeclared((name) => vanished.has(name));

  /** Returns whether a reorder goes: all readers of its result read the other form, or another reorder came before. */
  function isSuperfluous(node: ModelNode): boolean {
    if (isReorder(node, 'ReorderOutput')) {
      const tensor = graph.tensor(outputOf(node));
      if (isReadPlain(tensor, chosen)) return false;
      vanished.add(tensor.name);
      return true;
    }
    const tensor = isReorder(node, 'ReorderInput') ? graph.tensor(node.inputs[0]!) : undefined;
    if (tensor?.blocked !== outputOf(node)) return false;
    const isThere = isMadeBlocked(tensor, chosen) || entered.has(tensor);
    entered.add(tensor);
    return isThere;
  }

  function entering({ reads }: BlockedOperator): Node[] {
    const tensors = reads.map((name) => graph.tensor(name));
    return tensors.flatMap((tensor) => {
      if (isMadeBlocked(tensor, chosen) || entered.has(tensor)) return [];
      entered.add(tensor);
      const blocked = names.blocked(tensor.name);
      return [reorder('ReorderInput', tensor.name, blocked, {})];
    });
  }

  function leaving({ node, channels }: BlockedOperator): Node[] {
    const tensor = graph.tensor(outputOf(node));
    if (isReadPlain(tensor, chosen)) {
      return [reorder('ReorderOutput', names.blocked(tensor.name), tensor.name, { channels: int(channels) })];
    }
    vanished.add(tensor.name);
    return [];
  }
}

const reorder = (
  opType: 'ReorderInput' | 'ReorderOutput',
  from: string,
  to: string,
  attributes: Node['attributes'],
): Node => nodeOf({ name: to }, opType, [from], to, { ...attributes, channels_last: int(0) }, NCHWC_DOMAIN);

/** Operators that ONNX Runtime runs on blocked tensors, or removes, between a convolution and a GroupNorm. */
const PASSED_ON = [
  ...['Add', 'AveragePool', 'BatchNormalization', 'Clip', 'Concat', 'Dropout', 'Elu', 'Gelu', 'HardSigmoid'],
  ...[
    'HardSwish',
    'Identity',
    'LeakyRelu',
    'MaxPool',
    'Mish',
    'Mul',
    'Pad',
    'QuickGelu',
    'Relu',
    'Resize',
    'Selu',
  ],
  ...['Sigmoid', 'Softplus', 'Softsign', 'Sum', 'Tanh', 'Upsample'],
];

/**
 * Returns whether a model has a GroupNorm between 2-D convolutions, which the layout may serve, as far as can be told before
 * ONNX Runtime has optimized the model.
 */
export function hasNormBetweenConvolutions(model: Model): boolean {
  const { nodes } = model;
  const behind = new Set<string>();
  const behindBlocks = new Set<ModelNode>();
  for (const node of nodes) {
    const isBehind = node.inputs.some((name) => behind.has(name));
    if (isNorm(node) && isBehind) behindBlocks.add(node);
    if (isBlockedConv(model, node) || (isBehind && passesOn(node))) behind.add(outputOf(node));
  }
  const ahead = new Set<string>();
  for (const node of [...nodes].reverse()) {
    const isAhead = node.outputs.some((name) => ahead.has(name));
    if (behindBlocks.has(node) && isAhead) return true;
    if (isBlockedConv(model, node) || (isAhead && passesOn(node)))
      for (const name of node.inputs) ahead.add(name);
  }
  return false;
}

/** Returns whether ONNX Runtime may run a node in blocked layout: a 2-D convolution of float32. */
function isBlockedConv(model: Model, node: ModelNode): boolean {
  if (!isOp(node, 'Conv')) return false;
  const { dtype, shape } = model.typeOf(node.inputs[1]!) ?? {};
  return dtype === 'float32' && shape?.length === 4;
}

const passesOn = (node: ModelNode): boolean => isNorm(node) || PASSED_ON.includes(node.opType);
