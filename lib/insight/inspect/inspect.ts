/** What is in a model, and how its normalizations run. */
import { isUint8Array, unshared } from '../../arrays.js';
import { type Limits, requireLimits } from '../../limits.js';
import { requireModelSize } from '../../onnx/encode.js';
import { Model } from '../../onnx/model.js';
import { operatorName, readOutline } from '../../onnx/graph/outline.js';
import { notBytes } from '../../options.js';
import { requireValidNodes } from '../../rewrite/analysis/node-checks.js';
import { raiseOpset6 } from '../../rewrite/raise-opset.js';
import { ValueTypes } from '../../rewrite/analysis/value-types.js';
import type { Feeds, Provider, SessionOptions, TensorInfo } from '../../runtime/core/contract.js';
import { findNormalizations } from './find-normalizations.js';
import type { FoundNormalization } from './normalizations.js';
import type { ExternalDataFile, ModelInspection, ModelSummary, NormalizationStatistics } from './types.js';
import { warningsOf } from './warnings.js';

/** What `inspectModel` is told of a model. */
export interface InspectOptions {
  /** What messages call the model. Default: its path, or `model` for bytes. */
  readonly where?: string | undefined;
  /** How large the parts of the model may be: other numbers in place of the defaults of {@link Limits}. */
  readonly limits?: Partial<Limits> | undefined;
}

/** The options of `inspectModel`. */
export interface InspectRunOptions extends InspectOptions {
  /**
   * A tensor for each input of the model, to run it and measure the input of each normalization. Default: the model is not
   * run.
   */
  readonly feeds?: Feeds | undefined;
  /** The options of the session that runs the model. */
  readonly session?: SessionOptions | undefined;
}

export const INSPECT_OPTIONS: readonly (keyof InspectRunOptions)[] = ['where', 'limits', 'feeds', 'session'];

/** Says whether a session may read a file of weights of at least `size` bytes. */
type DataFileCheck = (location: string, size: number) => Pick<ExternalDataFile, 'isThere' | 'problem'>;

/** What is in a model. */
export interface FoundInside {
  readonly model: ModelSummary;
  readonly found: readonly FoundNormalization[];
}

/** Finds what `inspectModel` describes. */
export function findInside(
  bytes: Uint8Array,
  options: InspectOptions,
  checkDataFile: DataFileCheck,
): FoundInside {
  if (!isUint8Array(bytes)) throw notBytes('inspectModel takes a Uint8Array', bytes);
  const { where = 'model' } = options;
  requireModelSize(bytes.byteLength, where);
  const own = unshared(bytes);
  const model = Model.decode(own, where, requireLimits('inspectModel', options.limits));
  requireValidNodes(model, where);
  const [operators, controlFlow] = [new Counter(), new Counter()];
  const outline = readOutline(own, (node, _place, hasBody) => {
    const name = operatorName(node.domain, node.opType);
    operators.add(name);
    if (hasBody) controlFlow.add(name);
  });
  // A session does so, too.
  raiseOpset6(model);
  const { opsets, functions, ...head } = outline;
  return {
    model: {
      ...head,
      opsets: recordOf([...opsets].map(([domain, version]) => [domain || 'ai.onnx', version])),
      inputs: describeInputs(model),
      outputs: model.outputNames.map((name) => describeTensor(model, name)),
      operators: operators.sorted(),
      parameters: model.index.countParameters(),
      bytes: bytes.byteLength,
      externalData: [...model.externalFiles].map(([location, { size }]) => ({
        location,
        bytes: size,
        ...checkDataFile(location, size),
      })),
      functions,
      controlFlow: controlFlow.sorted(),
    },
    found: findNormalizations(new ValueTypes(model)),
  };
}

/** What a run has measured. */
export interface Measured {
  /** The provider that ran the model. */
  readonly provider: Provider;
  /** The statistics of normalizations, or why they are missing. Normalizations that take no mean have no entry. */
  readonly results: ReadonlyMap<FoundNormalization, NormalizationStatistics | string>;
}

/** Returns the result of `inspectModel`: adds the warnings, and what a run has measured, if there was one. */
export const toInspection = ({ model, found }: FoundInside, measured?: Measured): ModelInspection => ({
  model,
  ...(measured && { provider: measured.provider }),
  normalizations: found.map((one) => {
    const result = measured?.results.get(one);
    const [statistics, problem] = typeof result === 'string' ? [undefined, result] : [result, undefined];
    return {
      ...one.facts,
      ...(measured && { statistics }),
      warnings: warningsOf({ ...one, opset: model.opsets['ai.onnx'], statistics, problem }),
    };
  }),
});

const describeInputs = (model: Model): TensorInfo[] => [
  ...model.inputNames.map((name) => describeTensor(model, name)),
  ...model.optionalInputs.map(({ name, dtype, shape }) => ({ name, dtype, shape, optional: true })),
];

function describeTensor(model: Model, name: string): TensorInfo {
  const type = model.typeOf(name);
  return { name, dtype: type?.dtype, shape: type?.shape };
}

/** Counts names. */
class Counter {
  readonly #counts = new Map<string, number>();

  add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  /** Returns the counts, the highest first. */
  sorted(): Readonly<Record<string, number>> {
    return recordOf([...this.#counts].sort(([, a], [, b]) => b - a));
  }
}

/** Returns a record. A name may be `__proto__`, which an assignment would lose. */
const recordOf = (entries: readonly (readonly [string, number])[]): Readonly<Record<string, number>> =>
  Object.fromEntries(entries);
