/**
 * The values of a model that hold what PyTorch's modules returned. An activation is the output of one call of a module:
 *
 *   layer1.0.relu      of its first call
 *   layer1.0.relu@2    of its second call
 *   encoder.lstm[1]    the second output of a call with several
 *   output             of the model itself
 */
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { ValueTypes } from '../../rewrite/analysis/value-types.js';
import { formatShape, isFloatDType } from '../../tensor.js';
import type { ActivationType } from './activations.js';
import { KnownModules, modulesOf } from './module-path.js';

/** Which value of a model holds each activation. */
export interface ModuleValues {
  /**
   * The names of the activations, by the name of the value. Several where a module returns what a module inside of it
   * returned: the innermost comes first.
   */
  readonly activations: ReadonlyMap<string, readonly string[]>;
  /** Why no value is known to hold an activation, by its name. */
  readonly unmatched: ReadonlyMap<string, string>;
  /** The modules of the model that have no activation. */
  readonly missing: readonly string[];
}

/**
 * Finds the values that hold activations: of each call of a module, the value that its last node makes and that another
 * node, or the caller of the model, reads. Modules are known by `pkg.torch.onnx.name_scopes` (`dynamo=True`), or by names
 * of nodes such as `/layer1/bn1/Add` (`dynamo=False`, and models that this library builds).
 * @param activations Their types, which the types of the values must not contradict.
 */
export function findModuleValues(
  model: Model,
  activations: ReadonlyMap<string, ActivationType>,
): ModuleValues {
  const parsed = parseActivations(activations);
  const known = new KnownModules(parsed.map(({ module }) => module));
  const calls = new Map<string, number>();
  for (const { module, call } of parsed) calls.set(module, Math.max(call, calls.get(module) ?? 1));
  const nodes = nodesByModule(model, known);
  const types = new ValueTypes(model);

  const find = ({ name, type, module, call, index }: Activation): Found => {
    const own = nodes.get(module);
    if (!own && module === OUTPUT) return outputOf(types, { name, type, index });
    if (!own) return { problem: NO_NODE };
    if (index !== undefined)
      return { problem: `the module has several outputs: map one of them: '${name}=VALUE'` };
    const count = calls.get(module)!;
    const ofCall = splitCalls(own, count)?.[call - 1];
    if (!ofCall) return { problem: `the nodes of the module do not show ${count} calls` };
    const value = leavingValues(model, ofCall).findLast((one) => isCompatible(types, one, type));
    if (value !== undefined) return { value, nodes: ofCall.length };
    return { problem: `no result of the module is ${type.dtype} ${formatShape(type.dims)}` };
  };

  const values: { readonly name: string; readonly value: string; readonly nodes: number }[] = [];
  const unmatched = new Map<string, string>();
  for (const one of parsed) {
    const found = find(one);
    if ('problem' in found) unmatched.set(one.name, found.problem);
    else values.push({ name: one.name, ...found });
  }
  values.sort((a, b) => a.nodes - b.nodes || b.name.length - a.name.length);
  const byValue = new Map<string, string[]>();
  for (const { name, value } of values) push(byValue, value, name);
  return {
    activations: byValue,
    unmatched,
    missing: [...nodes.keys()].filter((module) => !known.has(module)),
  };
}

function push<Item>(lists: Map<string, Item[]>, key: string, item: Item): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}

/** The name of a value, and the number of nodes of the call that made it; or why it is not known. */
type Found = { readonly value: string; readonly nodes: number } | { readonly problem: string };

/** Why a module without nodes has no value: most often it is an Identity, a Dropout, or merged into another. */
export const NO_NODE = 'no node of the model comes from this module';

/** The name of what the model itself returned. */
const OUTPUT = 'output';

/** What the name of an activation says. */
interface Activation {
  readonly name: string;
  readonly type: ActivationType;
  readonly module: string;
  /** Counts from 1. */
  readonly call: number;
  /** Which of several outputs it is. */
  readonly index: number | undefined;
}

function parseActivations(activations: ReadonlyMap<string, ActivationType>): Activation[] {
  const parsed = [...activations].map(([name, type]): Activation => {
    const [, module = name, call = '1', index] = NAME.exec(name) ?? [];
    return { name, type, module, call: Number(call), index: index === undefined ? undefined : Number(index) };
  });
  const isSecond = ({ index }: Activation) => index !== undefined && index > 0;
  const several = new Set(parsed.filter(isSecond).map(({ module }) => module));
  // Of a tuple of a tensor and None, the tensor is the output.
  return parsed.map((one) => (several.has(one.module) ? one : { ...one, index: undefined }));
}

const NAME = /^(.+?)(?:@([1-9]\d*))?(?:\[(\d+)\])?$/s;

/** Returns the nodes that each module made, in all of its calls, in the order in which they run. */
function nodesByModule(model: Model, known: KnownModules): Map<string, ModelNode[]> {
  const nodes = new Map<string, ModelNode[]>();
  for (const node of model.nodes) {
    // Exporters share constants between calls.
    if (node.opType === 'Constant') continue;
    for (const module of new Set(modulesOf(node, known))) push(nodes, module, node);
  }
  return nodes;
}

/** Splits the nodes of a module into its calls, which are of the same operators; `undefined` if they are not. */
function splitCalls(nodes: readonly ModelNode[], calls: number): ModelNode[][] | undefined {
  const size = nodes.length / calls;
  if (!Number.isInteger(size)) return undefined;
  const isSame = nodes.every(({ opType }, at) => opType === nodes[at % size]!.opType);
  if (!isSame) return undefined;
  return Array.from({ length: calls }, (_, call) => nodes.slice(call * size, (call + 1) * size));
}

/** Returns the results of nodes that other nodes or the caller of the model read, in the order in which they are made. */
function leavingValues({ index, outputNames }: Model, nodes: readonly ModelNode[]): string[] {
  const own = new Set(nodes);
  const isRead = (name: string) =>
    outputNames.includes(name) || index.onlyReaders(name).some((reader) => !own.has(reader));
  return nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== '' && isRead(name)));
}

function isCompatible(types: ValueTypes, name: string, { dtype, dims }: ActivationType): boolean {
  const { dtype: own, shape } = types.typeOf(name);
  if (own !== undefined && own !== dtype && !(isFloatDType(own) && isFloatDType(dtype))) return false;
  if (shape === undefined) return true;
  return (
    shape.length === dims.length && shape.every((dim, axis) => typeof dim !== 'number' || dim === dims[axis])
  );
}

function outputOf(
  types: ValueTypes,
  { name, type, index }: Pick<Activation, 'name' | 'type' | 'index'>,
): Found {
  const { outputNames } = types.model;
  if (index === undefined && outputNames.length > 1)
    return { problem: `the model has ${outputNames.length} outputs: map one of them: '${name}=VALUE'` };
  const value = outputNames[index ?? 0];
  if (value === undefined) return { problem: `the model has ${outputNames.length} outputs` };
  return isCompatible(types, value, type)
    ? { value, nodes: Infinity }
    : { problem: `output '${value}' is not ${type.dtype} ${formatShape(type.dims)}` };
}
