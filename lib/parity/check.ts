/** One case of a parity check: a session run once, and its outputs compared with what was expected of it. */
import { OnnxGroupNormError, ParityError } from '../errors.js';
import type { Graph, Weights } from '../graph/types.js';
import type { LoweringName, SessionLoweringName } from '../lowering/types.js';
import { encodeModel } from '../onnx/encode.js';
import { requireKnownOptions } from '../options.js';
import type {
  GroupNormExecution,
  Provider,
  Session,
  SessionOptions,
  TensorRecord,
} from '../runtime/core/contract.js';
import { withSession } from '../runtime/core/open.js';
import type { DType, Shape, TensorData } from '../tensor.js';
import { counterWeights } from '../weights/counter.js';
import { matchStateDict } from '../weights/state-dict.js';
import { compareTensors, type OutputComparison } from './compare.js';
import type { Fixture } from './fixture.js';
import { toleranceFor } from './tolerance.js';

/** What came of one fixture, or of one data set of an existing model, run in one way. */
export interface CaseResult {
  /** The fixture's path, or that of the data set's folder. */
  readonly file: string;
  /**
   * Name in the graph registry, `unknown` where the file could not be read; of an existing model the name of its
   * folder.
   */
  readonly graph: string;
  /** Path of the existing model that was run; nothing for a fixture, whose model is built. */
  readonly model?: string;
  /**
   * How GroupNormalization is written in the model that was built; of an existing model what its session was asked for
   * as `groupNorm`, `default` if nothing.
   */
  readonly lowering: SessionLoweringName | 'default';
  /** Of the model's default ONNX domain; 0 of an existing model that has none or could not be read. */
  readonly opset: number;
  /** The execution provider that ran it. */
  readonly provider: Provider;
  /** Whether it ran and every output is within its tolerance. */
  readonly passed: boolean;
  /** One comparison for each output that is expected; none if the case could not be run. */
  readonly outputs: readonly OutputComparison[];
  /** Why the case could not be run, which counts as failed. */
  readonly error?: { readonly code: string; readonly message: string };
  /** How GroupNormalization ran, where the model had the operator; nothing if it did not run. */
  readonly groupNorm?: GroupNormExecution;
  /** Building, loading, running and comparing. */
  readonly milliseconds: number;
}

/** Which case it is. */
export type CaseName = Pick<CaseResult, 'file' | 'graph' | 'model' | 'lowering' | 'opset' | 'provider'>;

/** What a run came to. */
export type Outcome = Pick<CaseResult, 'outputs' | 'groupNorm'>;

/** An error of any kind makes a failed case. */
export async function attempt(
  action: () => Promise<Outcome>,
): Promise<Pick<CaseResult, 'passed' | 'outputs' | 'groupNorm' | 'error'>> {
  try {
    const outcome = await action();
    return { passed: outcome.outputs.every(({ passed }) => passed), ...outcome };
  } catch (error) {
    const code = error instanceof OnnxGroupNormError ? error.code : 'INTERNAL';
    const message = error instanceof Error ? error.message : String(error);
    return { passed: false, outputs: [], error: { code, message } };
  }
}

/** What a session is fed, and what is expected of it, by the model's names. */
export interface Expectation {
  readonly inputs: ReadonlyMap<string, TensorData>;
  readonly outputs: ReadonlyMap<string, TensorData>;
}

/**
 * Runs a session once and compares every output that is expected.
 * @param tolerance In place of the defaults.
 * @param truth Outputs in float64, as far as there are some.
 */
export async function runAndCompare(
  session: Session,
  { inputs, outputs }: Expectation,
  tolerance: Parameters<typeof toleranceFor>[1],
  truth?: ReadonlyMap<string, TensorData>,
): Promise<Outcome> {
  const actual = await session.run(Object.fromEntries(inputs));
  const comparisons = [...outputs].map(([name, expected]) => {
    const allowed = toleranceFor(expected.dtype, tolerance);
    return compareTensors(name, outputOf(actual, name), expected, allowed, truth?.get(name));
  });
  return { outputs: comparisons, ...(session.groupNorm && { groupNorm: session.groupNorm }) };
}

function outputOf(actual: TensorRecord, name: string): TensorData {
  const value = Object.hasOwn(actual, name) ? actual[name] : undefined;
  if (value) return value;
  throw new ParityError(
    'OUTPUT_MISSING',
    `an output '${name}' is expected, but the model has ${Object.keys(actual).join(', ')}`,
  );
}

/** Builds a registry graph; `graphs/` provides it, which this folder does not know. */
export type BuildGraph = (
  name: string,
  options: Readonly<Record<string, unknown>>,
  input: { dtype: DType; shape: Shape },
) => Graph;

/** One way to run a fixture. */
export interface CheckSpec {
  /** How GroupNormalization is written in the model. */
  readonly lowering: LoweringName;
  /** Of the model's default ONNX domain, 13 to 25. */
  readonly opset: number;
  /** The execution provider to run it on. */
  readonly provider: Provider;
  /** As the session's option: `op` runs ONNX Runtime's inlined body of the standard operator. */
  readonly groupNorm?: SessionLoweringName | undefined;
  /** In place of the fixture's and the dtype's relative tolerance, for floats. */
  readonly rtol?: number | undefined;
  /** In place of the fixture's and the dtype's absolute tolerance, for floats. */
  readonly atol?: number | undefined;
  /** Declare the input with the fixture's sizes rather than with names for all but the channels. */
  readonly staticShapes?: boolean | undefined;
}

/** `createSession` of the package's entry for Node, or of the one for browsers. */
export type OpenSession = (model: Uint8Array, options: SessionOptions) => Promise<Session>;

/** {@link checkFixture} with any way to open a session. */
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
  'rtol',
  'atol',
  'staticShapes',
] as const satisfies (keyof CheckSpec)[];

function requireFixture(fixture: Fixture): void {
  if ((fixture as Fixture | undefined | null)?.outputs instanceof Map) return;
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
  const graph = buildGraph(fixture.graph, fixture.options, inputType(fixture, spec));
  const weights = weightsOf(fixture, graph);
  const model = encodeModel(graph, weights, { opset: spec.opset, lowering: spec.lowering });
  const tolerance = { rtol: spec.rtol ?? fixture.rtol, atol: spec.atol ?? fixture.atol };
  const opening = openSession(model, { providers: [spec.provider], groupNorm: spec.groupNorm });
  return withSession(opening, (session) => runAndCompare(session, fixture, tolerance, fixture.truth));
}

/** Made once for each fixture, however many lowerings and opsets it is run with: 31 M numbers take a second. */
const counted = new WeakMap<Fixture, Weights>();

/** The parameters of a fixture: its state_dict, or those of `counterWeights`. */
export function weightsOf(fixture: Fixture, graph: Graph): Weights {
  const { weightsSeed, stateDict } = fixture;
  if (weightsSeed === undefined) return matchStateDict(graph, stateDict);
  const weights = counted.get(fixture) ?? counterWeights(graph, weightsSeed);
  counted.set(fixture, weights);
  return weights;
}

function inputType({ file, inputs }: Fixture, { staticShapes }: CheckSpec): { dtype: DType; shape: Shape } {
  const x = inputs.get('x');
  if (!x) throw new ParityError('FIXTURE_INVALID', `${file}: there is no 'input.x'`);
  const name = (axis: number) => (axis === 0 ? 'N' : `D${axis - 1}`);
  const shape = staticShapes ? x.dims : x.dims.map((dim, axis) => (axis === 1 ? dim : name(axis)));
  return { dtype: x.dtype, shape };
}
