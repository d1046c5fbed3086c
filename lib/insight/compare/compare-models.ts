/** Compares two models, or one model on two providers, value by value. */
import { ParityError } from '../../errors.js';
import { castTensor } from '../../half.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { operatorName } from '../../onnx/graph/outline.js';
import { requireKnownOptions } from '../../options.js';
import { requireTolerance } from '../../parity/compare.js';
import { listNames, plural } from '../../quantities.js';
import type { Feeds, Platform, SessionOptions, TensorInfo } from '../../runtime/core/contract.js';
import { describeInput, toOwnTensor } from '../../runtime/core/tensors.js';
import { isFloatDType, isStringTensor } from '../../tensor.js';
import type {
  ComparedSide,
  ModelComparison,
  NotCompared,
  ValueComparison,
  ValueVerdict,
} from './comparison.js';
import { compareValues, naming } from './compare-values.js';
import { ModelRun, type ModelRunOptions } from '../values/intermediate-values.js';

/** One side of `compareModels`. */
export interface ModelToCompare {
  /** The path of an `.onnx` file (in a browser: its URL), with its files of weights beside it; or its bytes. */
  readonly model: string | Uint8Array;
  /** How to load the model: the options of `createSession`. */
  readonly session?: SessionOptions | undefined;
  /** What messages and the result call this side. Default: the path, or `model` for bytes. */
  readonly label?: string | undefined;
}

/** The options of `compareModels`. */
export interface CompareOptions {
  /**
   * A tensor for each input, or a function that returns these for the inputs of the expected side. Both sides get the same
   * tensors; floats are cast where an input of the actual side has another dtype of floats.
   */
  readonly feeds: ModelRunOptions['feeds'];
  /** Replaces the relative tolerance of the dtype, for floats. Default: that of `torch.testing.assert_close`. */
  readonly rtol?: number | undefined;
  /** Replaces the absolute tolerance of the dtype, for floats. Default: that of `torch.testing.assert_close`. */
  readonly atol?: number | undefined;
  /**
   * The most bytes of values inside of the models that are held at once. The models run as often as it takes. Default
   * 536,870,912. A value that is larger is held all the same, and so are the outputs of the models.
   */
  readonly maxBytes?: number | undefined;
  /** The number of values whose heat maps are in the result: those that use most of their tolerance. Default 0. */
  readonly heatMaps?: number | undefined;
  /** Is called before each part of the work, with words for it. */
  readonly onProgress?: ((task: string) => void) | undefined;
}

export const DEFAULT_MAX_BYTES = 2 ** 29;

const COMPARE_OPTIONS: readonly (keyof CompareOptions)[] = [
  'feeds',
  'rtol',
  'atol',
  'maxBytes',
  'heatMaps',
  'onProgress',
];

const SIDE_OPTIONS: readonly (keyof ModelToCompare)[] = ['model', 'session', 'label'];

/** Implements `compareModels`, whose docstring lists the errors, on a platform. */
export async function compareModelsOn(
  platform: Platform,
  expected: ModelToCompare,
  actual: ModelToCompare,
  options: CompareOptions,
): Promise<ModelComparison> {
  requireKnownOptions('compareModels', options, COMPARE_OPTIONS);
  requireKnownOptions('compareModels: the expected side', expected, SIDE_OPTIONS);
  requireKnownOptions('compareModels: the actual side', actual, SIDE_OPTIONS);
  const { rtol = 0, atol = 0, onProgress, feeds } = options;
  requireTolerance({ rtol, atol });
  const [label, otherLabel] = [labelOf(expected), labelOf(actual)];
  onProgress?.(`loading ${label}`);
  const one = await naming({ label }, ModelRun.open(platform, expected.model, { ...expected, feeds }));
  try {
    onProgress?.(`loading ${otherLabel}`);
    const notes: string[] = [];
    const opening = ModelRun.open(platform, actual.model, {
      ...actual,
      feeds: (inputs) => feedsFor(inputs, one, notes, otherLabel),
    });
    const other = await naming({ label: otherLabel }, opening);
    const execution = (run: ModelRun) => JSON.stringify([run.execution, run.options]);
    if (expected.model === actual.model && execution(one) === execution(other))
      notes.push(`both sides run the same model on ${one.execution.provider} in the same way`);
    try {
      return await compareRuns(one, other, options, notes);
    } finally {
      await other.dispose();
    }
  } finally {
    await one.dispose();
  }
}

const labelOf = ({ model, label }: ModelToCompare): string =>
  label ?? (typeof model === 'string' ? model : 'model');

/** Returns the feeds of the expected side for the inputs of the other. */
function feedsFor(inputs: readonly TensorInfo[], expected: ModelRun, notes: string[], label: string): Feeds {
  const { feeds } = expected;
  const known = new Map(inputs.map((info) => [info.name, info]));
  const isMissing = ({ name, optional }: TensorInfo) => !optional && !Object.hasOwn(feeds, name);
  if (Object.keys(feeds).some((name) => !known.has(name)) || inputs.some(isMissing)) {
    const list = (infos: readonly TensorInfo[]) => infos.map((info) => describeInput(info)).join(', ');
    throw new ParityError('INPUTS_DIFFER', [
      'the models must have the same inputs, for they run on the same tensors:',
      `  ${expected.label} got ${Object.keys(feeds).join(', ') || 'no input'}`,
      `  ${label} takes ${list(inputs) || 'no input'}`,
    ]);
  }
  const cast = Object.entries(feeds).map(([name, given]) => {
    const value = toOwnTensor(given, name);
    const { dtype } = known.get(name)!;
    if (isStringTensor(value) || value.dtype === dtype || !isFloatDType(value.dtype) || !isFloatDType(dtype))
      return [name, given] as const;
    notes.push(`input '${name}' is cast from ${value.dtype} to ${dtype} for ${label}`);
    return [name, castTensor(value, dtype)] as const;
  });
  return Object.fromEntries(cast);
}

async function compareRuns(
  expected: ModelRun,
  actual: ModelRun,
  options: CompareOptions,
  notes: readonly string[],
): Promise<ModelComparison> {
  const { rtol, atol, maxBytes = DEFAULT_MAX_BYTES, heatMaps = 0, onProgress } = options;
  const [inExpected, inActual] = [new Set(expected.names), new Set(actual.names)];
  const names = actual.names.filter((name) => inExpected.has(name));
  const compared = await compareValues(actual, expected, {
    names,
    rtol,
    atol,
    maxBytes,
    heatMaps,
    onProgress,
  });
  const notCompared = [
    ...compared.notCompared,
    ...missingIn('actual', actual, expected.names, inActual, expected.model.outputNames),
    ...missingIn('expected', expected, actual.names, inExpected, actual.model.outputNames),
  ];
  return {
    ...summarise(compared.values, notCompared),
    expected: describeSide(expected),
    actual: describeSide(actual),
    values: compared.values,
    notCompared,
    notes: [...notes, ...notesOn(expected, actual), ...notesOnEmpty(compared.values)],
    heatMaps: compared.heatMaps,
  };
}

/** Returns the verdicts of all values together. */
export function summarise(
  values: readonly ValueComparison[],
  notCompared: readonly NotCompared[],
): Pick<ModelComparison, 'passed' | 'counts' | 'first'> {
  const counts: Record<ValueVerdict, number> = { within: 0, drifts: 0, 'not-finite': 0, type: 0 };
  for (const { verdict } of values) counts[verdict] += 1;
  const hasElements = values.some(({ verdict, dims }) => verdict === 'within' && !isEmpty(dims));
  const isEveryOutputEqual =
    values.every(({ isOutput, verdict }) => !isOutput || verdict === 'within') &&
    notCompared.every(({ isOutput }) => !isOutput);
  return {
    passed: counts.drifts + counts.type === 0 && hasElements && isEveryOutputEqual,
    counts,
    first: values.find(({ verdict }) => verdict === 'drifts' || verdict === 'type') ?? null,
  };
}

const isEmpty = (dims: readonly number[]): boolean => dims.includes(0);

/** Says which values have no elements, so that nothing was compared. */
export function notesOnEmpty(values: readonly ValueComparison[]): string[] {
  const empty = values.filter(({ dims, verdict }) => verdict === 'within' && isEmpty(dims));
  const names = empty.map(({ name, isOutput }) => `'${name}'${isOutput ? ' (output)' : ''}`);
  return empty.length > 0
    ? [
        `without elements, so that nothing was compared: ${plural(empty.length, 'value')}, ${listNames(names, 3)}`,
      ]
    : [];
}

/** Returns the values that one side computes, and the other does not or only in passing. */
function missingIn(
  side: NotCompared['side'],
  run: ModelRun,
  names: readonly string[],
  own: ReadonlySet<string>,
  outputNames: readonly string[],
): NotCompared[] {
  const outputs = new Set(outputNames);
  return names
    .filter((name) => !own.has(name))
    .map((name) => ({ name, side, reason: run.whyNot(name) ?? IN_PASSING, isOutput: outputs.has(name) }));
}

const IN_PASSING = 'the session merges or fuses the nodes around it, or no output needs it';

export function describeSide({ label, execution: { provider, groupNorm } }: ModelRun): ComparedSide {
  return { label, provider, ...(groupNorm && { groupNorm }) };
}

/** Operators whose results differ in each run. */
const RANDOM: ReadonlySet<string> = new Set(
  'Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike'.split(' '),
);

const WITH_BODIES: ReadonlySet<string> = new Set(['If', 'Loop', 'Scan', 'SequenceMap']);

function notesOn(expected: ModelRun, actual: ModelRun): string[] {
  const { nodes } = actual.model;
  const random = nodes.filter(({ domain, opType }) => domain === '' && RANDOM.has(opType));
  const withBodies = nodes.filter(({ domain, opType }) => domain === '' && WITH_BODIES.has(opType));
  const calls = nodes.filter((node) => actual.model.isFunctionCall(node));
  return [
    ...[expected, actual].flatMap(({ label, execution }) =>
      execution.fallbacks.map(({ provider, reason }) => `${label} does not run on ${provider}: ${reason}`),
    ),
    ...(withBodies.length > 0
      ? [
          `values in the bodies of ${describeNodes(withBodies)} are not compared; the results of these nodes are`,
        ]
      : []),
    ...(calls.length > 0
      ? [
          `values inside of local functions are not compared; the results of ${plural(calls.length, 'call')} are`,
        ]
      : []),
    ...(random.length > 0 ? [`${describeNodes(random)} may give other numbers in each run`] : []),
  ];
}

const describeNodes = (nodes: readonly ModelNode[]): string =>
  [...new Set(nodes.map(({ domain, opType }) => operatorName(domain, opType)))].join(', ');
