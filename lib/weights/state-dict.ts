import { WeightsError } from '../errors.js';
import type { Graph, Value, Weights } from '../graph/index.js';
import { castTensor } from '../half.js';
import { nearestName } from '../nearest.js';
import { formatShape, isFloatDType, type DType, type TensorData } from '../tensor.js';

/** Wrappers that put a prefix before every key: DataParallel, trainers, fixtures. */
const PREFIXES = ['module.', 'model.', 'state_dict.'];

/**
 * A state_dict as the weights of a graph, as PyTorch's `load_state_dict(strict=True)` takes it: every key must
 * be there, none may be left over, shapes must agree; floats are converted to the parameter's dtype. A prefix
 * that all keys have (`module.`, `model.`, `state_dict.`) is taken off if the graph has no such names.
 * @throws WeightsError `STATE_DICT_MISMATCH` listing every missing, unexpected and wrong-shaped key.
 */
export function matchStateDict(graph: Graph, stateDict: ReadonlyMap<string, TensorData>): Weights {
  const found = stripPrefixes(graph, stateDict);
  const expected = new Map(graph.parameters.map((parameter) => [parameter.name, parameter]));
  const problems = [
    ...[...expected.keys()]
      .filter((name) => !found.has(name))
      .map((name) => `missing '${name}'${hint(name, found.keys())}`),
    ...[...found.keys()]
      .filter((name) => !expected.has(name))
      .map((name) => `unexpected '${name}'${hint(name, expected.keys())}`),
    ...graph.parameters.flatMap((parameter) => misfit(parameter, found.get(parameter.name))),
  ];
  if (problems.length > 0) {
    throw new WeightsError(
      'STATE_DICT_MISMATCH',
      `the state_dict does not fit graph '${graph.name}':\n${problems.map((problem) => `  ${problem}`).join('\n')}`,
    );
  }
  return new Map(graph.parameters.map(({ name, dtype }) => [name, convert(found.get(name)!, dtype)]));
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

function misfit({ name, shape, dtype }: Value, data: TensorData | undefined): string[] {
  if (!data) return [];
  if (formatShape(data.dims) !== formatShape(shape)) {
    return [`'${name}' has shape ${formatShape(data.dims)} but must be ${formatShape(shape)}`];
  }
  return isFloatDType(data.dtype)
    ? []
    : [`'${name}' is ${data.dtype} but must be a float, for example ${dtype}`];
}

function hint(name: string, candidates: Iterable<string>): string {
  const near = nearestName(name, candidates);
  return near ? ` (did you mean '${near}'?)` : '';
}

const convert = (data: TensorData, dtype: DType): TensorData =>
  isFloatDType(dtype) ? castTensor(data, dtype) : data;
