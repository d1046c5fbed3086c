/** Matches a PyTorch state_dict with the parameters of a graph. */
import { isMap } from '../arrays.js';
import { type ErrorDetails, WeightsError } from '../errors.js';
import { type Graph, requireGraph, type Value, type Weights } from '../graph/types.js';
import { castTensor } from '../half.js';
import { nearestName } from '../nearest.js';
import { requireKnownOptions } from '../options.js';
import { type DType, formatShape, isFloatDType, type TensorData } from '../tensor.js';

/** The prefixes that wrappers put before every key: DataParallel, trainers, torch.compile, fixtures. */
const PREFIXES = ['module.', 'model.', '_orig_mod.', 'state_dict.'];

/** Options of {@link matchStateDict}. */
export interface MatchOptions {
  /**
   * Takes only the keys under this prefix, such as `backbone.` or `net`, and removes it from them. Default: all keys,
   * without the prefixes of wrappers.
   */
  readonly prefix?: string | undefined;
}

/**
 * Returns the tensors of a state_dict as the weights of a graph, with the rules of PyTorch's
 * `load_state_dict(strict=True)`: every parameter needs its key, other keys are errors, and shapes must agree. Floats are
 * converted to the parameter's dtype; integers and bool must have it. A prefix that all keys share (`module.`, `model.`,
 * `_orig_mod.`, `state_dict.`) is removed, unless the graph's names have it. The counter `num_batches_tracked` of a
 * BatchNorm is left out.
 * @param stateDict Tensors by key, such as the `readAll()` of a safetensors file gives.
 * @throws WeightsError `STATE_DICT_MISMATCH` with the first missing and unexpected keys, the first tensors of a wrong shape or
 *   dtype, and the numbers of the others, or if no key has the prefix asked for; GraphError `INVALID_GRAPH`; OptionError `UNKNOWN_OPTION`.
 */
export function matchStateDict(
  graph: Graph,
  stateDict: ReadonlyMap<string, TensorData>,
  options: MatchOptions = {},
): Weights {
  requireGraph('matchStateDict', graph);
  requireKnownOptions('matchStateDict', options, ['prefix'] satisfies (keyof MatchOptions)[]);
  if (!isMap(stateDict)) {
    throw mismatch(
      "a state_dict must be a Map of tensors by name, such as a safetensors file's readAll() gives",
    );
  }
  const { prefix } = options;
  const found = prefix ? keysUnder(prefix, stateDict) : stripPrefixes(graph, stateDict);
  const problems = problemsOf(graph, found);
  if (problems.length > 0) {
    const hasSome = graph.parameters.some(({ name }) => found.has(name));
    const under = prefix || hasSome ? undefined : prefixOfAll(graph, stateDict);
    if (under !== undefined) {
      throw mismatch(
        `the state_dict has the keys of graph '${graph.name}' under '${under}': give the prefix '${under}'`,
        { option: 'prefix' },
      );
    }
    const which = prefix ? `the part of the state_dict under '${prefix}'` : 'the state_dict';
    throw mismatch([`${which} does not fit graph '${graph.name}':`, ...problems]);
  }
  return new Map(graph.parameters.map(({ name, dtype }) => [name, convert(found.get(name)!, dtype)]));
}

/** Returns the prefix under which a state_dict has every parameter of the graph with a tensor that fits, if any. */
function prefixOfAll({ parameters }: Graph, stateDict: ReadonlyMap<string, TensorData>): string | undefined {
  const [first] = parameters;
  if (first === undefined) return undefined;
  const prefixes = [...stateDict.keys()]
    .filter((key) => key.endsWith(`.${first.name}`))
    .map((key) => key.slice(0, -first.name.length - 1));
  const isAt = (prefix: string) => (parameter: Value) => {
    const data = stateDict.get(`${prefix}.${parameter.name}`);
    return data !== undefined && misfit(parameter, data).length === 0;
  };
  return prefixes.find((prefix) => parameters.every(isAt(prefix)));
}

const mismatch = (message: string | readonly string[], details?: ErrorDetails): WeightsError =>
  new WeightsError('STATE_DICT_MISMATCH', message, details);

/** How many problems of a kind a message lists: the state_dict of another network has hundreds. */
const MAX_LISTED = 5;

function problemsOf(graph: Graph, found: ReadonlyMap<string, TensorData>): string[] {
  const { missing, unexpected, misfits } = compareKeys(graph, found);
  const list = (kind: string, names: readonly string[], describe: (name: string) => string): string[] => {
    const lines = names.slice(0, MAX_LISTED).map((name) => `  ${describe(name)}`);
    return names.length <= MAX_LISTED ? lines : [...lines, `  and ${names.length - MAX_LISTED} more ${kind}`];
  };
  return [
    // Suggests unexpected keys only: another parameter's key is not a misspelling of this one.
    ...list('missing', missing, (name) => `missing '${name}'${hint(name, unexpected)}`),
    ...list('unexpected', unexpected, (name) => `unexpected '${name}'${hint(name, parameterNames(graph))}`),
    ...list('of a wrong shape or dtype', misfits, (problem) => problem),
  ];
}

/** What is wrong with the tensors of a state_dict, for a graph. */
interface Mismatches {
  /** Names of parameters without a tensor. */
  readonly missing: readonly string[];
  /** Keys without a parameter. */
  readonly unexpected: readonly string[];
  /** Says of each tensor of a wrong shape or dtype what is wrong. */
  readonly misfits: readonly string[];
}

/** Compares the tensors of a state_dict, by key, with the parameters of a graph. */
export function compareKeys(graph: Graph, found: ReadonlyMap<string, TensorType>): Mismatches {
  const expected = new Set(parameterNames(graph));
  return {
    missing: [...expected].filter((name) => !found.has(name)),
    unexpected: [...found.keys()].filter((name) => !expected.has(name) && !isCounter(name, expected)),
    misfits: graph.parameters.flatMap((parameter) => misfit(parameter, found.get(parameter.name))),
  };
}

/** Returns ` (did you mean 'weight'?)`, to follow a name in a message, or `''` if no candidate is close. */
export function hint(name: string, candidates: Iterable<string>): string {
  const near = nearestName(name, candidates);
  return near ? ` (did you mean '${near}'?)` : '';
}

const parameterNames = ({ parameters }: Graph): string[] => parameters.map(({ name }) => name);

/** What a tensor is, without its elements. */
type TensorType = Pick<TensorData, 'dtype' | 'dims'>;

/** Whether a key is the counter of a BatchNorm in PyTorch, which no computation reads. */
function isCounter(name: string, expected: ReadonlySet<string>): boolean {
  const [counter, statistics] = ['num_batches_tracked', 'running_mean'] as const;
  const isNamed = name === counter || name.endsWith(`.${counter}`);
  return isNamed && expected.has(name.slice(0, -counter.length) + statistics);
}

function keysUnder(prefix: string, stateDict: ReadonlyMap<string, TensorData>): Map<string, TensorData> {
  const dotted = prefix.endsWith('.') ? prefix : `${prefix}.`;
  const under = [...stateDict].filter(([key]) => key.startsWith(dotted));
  if (under.length > 0) return new Map(under.map(([key, value]) => [key.slice(dotted.length), value]));
  const there = [...new Set([...stateDict.keys()].map((key) => key.replace(/\.?[^.]*$/, '')))].filter(
    Boolean,
  );
  const some = there
    .slice(0, 8)
    .map((one) => `'${one}'`)
    .join(', ');
  const more = there.length > 8 ? ', …' : '';
  throw mismatch(
    `the state_dict has no keys under '${prefix}'; it has: ${some ? some + more : 'keys without prefixes'}`,
  );
}

function stripPrefixes(
  graph: Graph,
  stateDict: ReadonlyMap<string, TensorData>,
): ReadonlyMap<string, TensorData> {
  const wanted = graph.parameters.map(({ name }) => name);
  let result = stateDict;
  for (;;) {
    const keys = [...result.keys()];
    const prefix = PREFIXES.find(
      (candidate) => keys.length > 0 && keys.every((key) => key.startsWith(candidate)),
    );
    if (!prefix || wanted.some((name) => name.startsWith(prefix))) return result;
    result = new Map([...result].map(([key, value]) => [key.slice(prefix.length), value]));
  }
}

function misfit({ name, shape, dtype }: Value, data: TensorType | undefined): string[] {
  if (data === undefined) return [];
  if (typeof data !== 'object' || !Array.isArray(data?.dims)) return [`'${name}' is not a tensor`];
  if (formatShape(data.dims) !== formatShape(shape)) {
    return [`'${name}' has shape ${formatShape(data.dims)} but must be ${formatShape(shape)}`];
  }
  if (isFloatDType(dtype) ? isFloatDType(data.dtype) : data.dtype === dtype) return [];
  const allowed = isFloatDType(dtype) ? `a float, for example ${dtype}` : dtype;
  return [`'${name}' is ${data.dtype} but must be ${allowed}`];
}

const convert = (data: TensorData, dtype: DType): TensorData =>
  isFloatDType(dtype) ? castTensor(data, dtype) : data;
