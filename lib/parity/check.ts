/** Runs one case of a parity check: runs a session once and compares its outputs with the expected tensors. */
import { isMap } from '../arrays.js';
import { OnnxGroupNormError, ParityError } from '../errors.js';
import type { Graph, Weights } from '../graph/types.js';
import type { LoweringName, SessionLoweringName } from '../lowering/types.js';
import { encodeModel } from '../onnx/encode.js';
import { requireKnownOptions } from '../options.js';
import type {
  GroupNormExecution,
  Layout,
  Provider,
  Session,
  SessionOptions,
} from '../runtime/core/contract.js';
import { withSession } from '../runtime/session/open.js';
import { type DType, isFloatDType, type Shape, type TensorData } from '../tensor.js';
import { counterWeights } from '../weights/counter.js';
import { matchStateDict } from '../weights/state-dict.js';
import { compareTensors, type OutputComparison, toleranceFor } from './compare.js';
import type { Fixture } from './fixture.js';

/** The result of one fixture, or of one data set of an existing model, run in one way. */
export interface CaseResult {
  /** The path of the fixture, or of the data set's folder. */
  readonly file: string;
  /**
   * The graph's name in the registry, or `unknown` if the file could not be read; for an existing model the name of its
   * folder.
   */
  readonly graph: string;
  /** The path of the existing model; absent for a fixture, whose model is built. */
  readonly model?: string;
  /**
   * The lowering of GroupNormalization in the model that was built; for an existing model the session's option
   * `groupNorm`, or `default` without that option.
   */
  readonly lowering: SessionLoweringName | 'default';
  /** The model's opset of the default ONNX domain; 0 for an existing model that has no opset or could not be read. */
  readonly opset: number;
  /** The execution provider that ran the case. */
  readonly provider: Provider;
  /** Whether the case ran and every output is within its tolerance. */
  readonly passed: boolean;
  /** One comparison for each expected output; empty if the case could not run. */
  readonly outputs: readonly OutputComparison[];
  /** Why the case could not run, which counts as failed. */
  readonly error?: {
    /** The code of the error, such as `MODEL_REJECTED`; `INTERNAL` for an error of another class. */
    readonly code: string;
    /** What is wrong, and what to do. */
    readonly message: string;
  };
  /** How GroupNormalization ran; absent if the model lacks the operator or the case did not run. */
  readonly groupNorm?: GroupNormExecution;
  /** The layout in which GroupNormalization ran; absent if it was the plain layout or the case did not run. */
  readonly layout?: 'blocked';
  /** Where the drift of a failed case begins; absent if it was not searched. */
  readonly drift?: Drift;
  /** The time for building, loading, running and comparing, in milliseconds. */
  readonly milliseconds: number;
}

/** Where a drift begins, or why that is not known. */
export interface Drift {
  /** What the values of the model were compared with: a file of activations, or a provider; absent if they were not. */
  readonly comparedWith?: string;
  /** The PyTorch module that the drift begins at, such as `layer3.0.bn1`, where the model names it. */
  readonly module?: string | undefined;
  /** The value of the model that the drift begins at. */
  readonly value?: string;
  /** The differences of that value; absent if its shape or dtype differs. */
  readonly difference?: OutputComparison;
  /** The same in words, for people. */
  readonly description: string;
}

/** The part of a result that identifies the case. */
export type CaseName = Pick<CaseResult, 'file' | 'graph' | 'model' | 'lowering' | 'opset' | 'provider'>;

/** The result of a session's run. */
export type Outcome = Pick<CaseResult, 'outputs' | 'groupNorm' | 'layout'>;

/** Runs `action`; any error makes the case fail. */
export async function attempt(
  action: () => Promise<Outcome>,
): Promise<Outcome & Pick<CaseResult, 'passed' | 'error'>> {
  try {
    const outcome = await action();
    return { passed: outcome.outputs.every(({ passed }) => passed), ...outcome };
  } catch (error) {
    const code = error instanceof OnnxGroupNormError ? error.code : 'INTERNAL';
    const message = error instanceof Error ? error.message : String(error);
    return { passed: false, outputs: [], error: { code, message } };
  }
}

/** Inputs of a session and its expected outputs, by the model's names. */
interface Expectation {
  readonly inputs: ReadonlyMap<string, TensorData>;
  readonly outputs: ReadonlyMap<string, TensorData>;
}

/**
 * Runs a session once and compares every expected output.
 * @param tolerance Replaces the defaults for floats.
 * @param truth Outputs in float64, where they are known.
 */
export async function runAndCompare(
  session: Session,
  { inputs, outputs }: Expectation,
  tolerance: Parameters<typeof toleranceFor>[1],
  truth?: ReadonlyMap<string, TensorData>,
): Promise<Outcome> {
  for (const name of outputs.keys()) requireOutput(session, name);
  const actual = await session.run(Object.fromEntries(inputs), { fetches: [...outputs.keys()] });
  const comparisons = [...outputs].map(([name, expected]) => {
    const allowed = toleranceFor(expected.dtype, tolerance);
    return compareTensors(name, actual[name]!, expected, allowed, truth?.get(name));
  });
  const { groupNorm, layout } = session;
  return {
    outputs: comparisons,
    ...(groupNorm && { groupNorm }),
    ...(layout === 'blocked' && { layout }),
  };
}

function requireOutput({ outputs }: Session, name: string): void {
  const info = outputs.find((output) => output.name === name);
  if (!info) {
    const has = outputs.map((output) => output.name).join(', ');
    throw new ParityError(
      'OUTPUT_MISSING',
      `the model has no output '${name}', which is expected; it has ${has}`,
    );
  }
  if (info.dtype !== 'string') return;
  throw new ParityError('OUTPUT_SHAPE', `output '${name}' is a tensor of texts; only numbers are compared`);
}

/** Builds a graph by its name in the registry: `(name, options, input) => getGraph(name).build(options, input)`. */
export type BuildGraph = (
  name: string,
  options: Readonly<Record<string, unknown>>,
  input: { dtype: DType; shape?: Shape | Readonly<Record<string, Shape>> | undefined },
) => Graph;

/** How to run a fixture. */
export interface CheckSpec {
  /** The lowering of GroupNormalization in the model. */
  readonly lowering: LoweringName;
  /** The model's opset of the default ONNX domain, 13 to 25. */
  readonly opset: number;
  /** The execution provider to run on. */
  readonly provider: Provider;
  /** The session's option `groupNorm`: `op` runs ONNX Runtime's inlined body of the standard operator. */
  readonly groupNorm?: SessionLoweringName | undefined;
  /** The session's option `layout`. */
  readonly layout?: Layout | undefined;
  /** Replaces the fixture's and the dtype's relative tolerance for floats. */
  readonly rtol?: number | undefined;
  /** Replaces the fixture's and the dtype's absolute tolerance for floats. */
  readonly atol?: number | undefined;
  /** Declares the input with the fixture's sizes. Default: names for all sizes but the channels. */
  readonly staticShapes?: boolean | undefined;
}

/** The type of `createSession` in Node and in browsers. */
type OpenSession = (model: Uint8Array, options: SessionOptions) => Promise<Session>;

/** `checkFixture` with a function that opens the session. */
export async function checkFixtureWith(
  openSession: OpenSession,
  fixture: Fixture,
  spec: CheckSpec,
  buildGraph: BuildGraph,
): Promise<CaseResult> {
  requireFixture(fixture);
  requireKnownOptions('checkFixture', spec, SPEC_OPTIONS);
  const { file, graph } = fixture;
  const { lowering, opset, provider } = spec;
  const start = performance.now();
  const result = await attempt(() => buildAndRun(openSession, fixture, spec, buildGraph));
  return { file, graph, lowering, opset, provider, ...result, milliseconds: performance.now() - start };
}

const SPEC_OPTIONS = [
  'lowering',
  'opset',
  'provider',
  'groupNorm',
  'layout',
  'rtol',
  'atol',
  'staticShapes',
] as const satisfies (keyof CheckSpec)[];

function requireFixture(fixture: Fixture): void {
  if (isMap((fixture as Fixture | undefined | null)?.outputs)) return;
  throw new ParityError(
    'FIXTURE_INVALID',
    'checkFixture: the first argument must be a fixture: what readFixture or decodeFixture returns',
  );
}

async function buildAndRun(
  openSession: OpenSession,
  fixture: Fixture,
  spec: CheckSpec,
  buildGraph: BuildGraph,
): Promise<Outcome> {
  const model = buildFixtureModel(fixture, spec, buildGraph);
  const tolerance = toleranceOf(fixture, spec);
  const { provider, groupNorm, layout } = spec;
  const opening = openSession(model, { providers: [provider], groupNorm, layout });
  return withSession(opening, (session) => runAndCompare(session, fixture, tolerance, fixture.truth));
}

/** What the model of a fixture depends on. */
export type ModelSpec = Pick<CheckSpec, 'lowering' | 'opset' | 'staticShapes'>;

/** Returns the model of a fixture. */
export function buildFixtureModel(fixture: Fixture, spec: ModelSpec, buildGraph: BuildGraph): Uint8Array {
  const graph = buildGraph(fixture.graph, fixture.options, inputType(fixture, spec));
  requireInputs(fixture, graph);
  const { opset, lowering } = spec;
  return encodeModel(graph, weightsOf(fixture, graph), { opset, lowering });
}

/** Returns the tolerance of a case, where it is not the default of the dtype. */
export const toleranceOf = (
  fixture: Fixture,
  { rtol = fixture.rtol, atol = fixture.atol }: Pick<CheckSpec, 'rtol' | 'atol'>,
): Pick<CheckSpec, 'rtol' | 'atol'> => ({ rtol, atol });

/** Weights made once for each fixture, however often it runs: 31 million numbers take a second. */
const weightsByFixture = new WeakMap<Fixture, Weights>();

/** Returns the weights of a fixture: its state_dict, or the result of `counterWeights`. */
export function weightsOf(fixture: Fixture, graph: Graph): Weights {
  const { weightsSeed, stateDict } = fixture;
  if (weightsSeed === undefined) return matchStateDict(graph, stateDict);
  const weights = weightsByFixture.get(fixture) ?? counterWeights(graph, weightsSeed);
  weightsByFixture.set(fixture, weights);
  return weights;
}

/** Returns the dtype of a fixture's float inputs, and their shapes: sizes, or names where the graph has one input of any rank. */
function inputType({ inputs }: Fixture, { staticShapes }: ModelSpec): Parameters<BuildGraph>[2] {
  const floats = [...inputs.values()].filter(({ dtype }) => isFloatDType(dtype));
  const dtype = floats[0]?.dtype ?? 'float32';
  if (staticShapes) {
    return { dtype, shape: Object.fromEntries([...inputs].map(([name, { dims }]) => [name, dims])) };
  }
  const x = inputs.size === 1 ? inputs.get('x') : undefined;
  const name = (axis: number) => (axis === 0 ? 'N' : `D${axis - 1}`);
  return { dtype, shape: x?.dims.map((dim, axis) => (axis === 1 ? dim : name(axis))) };
}

function requireInputs({ file, inputs }: Fixture, graph: Graph): void {
  const missing = graph.inputs.find(({ name }) => !inputs.has(name));
  if (!missing) return;
  const there = [...inputs.keys()].map((name) => `'input.${name}'`).join(', ');
  throw new ParityError(
    'FIXTURE_INVALID',
    `${file} has no 'input.${missing.name}', an input of graph '${graph.name}'; it has ${there}`,
  );
}
