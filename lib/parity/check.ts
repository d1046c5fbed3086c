import { OnnxGroupNormError, ParityError } from '../errors.js';
import type { Graph, Weights } from '../graph/index.js';
import type { LoweringName, SessionLoweringName } from '../lowering/index.js';
import { encodeModel } from '../onnx/index.js';
import type {
  GroupNormExecution,
  Provider,
  Session,
  SessionOptions,
  TensorRecord,
} from '../runtime/common.js';
import type { DType, Shape } from '../tensor.js';
import { requireKnownOptions } from '../options.js';
import { counterWeights } from '../weights/counter.js';
import { matchStateDict } from '../weights/state-dict.js';
import { compareTensors, type OutputComparison } from './compare.js';
import type { Fixture } from './fixture.js';
import { defaultTolerance } from './tolerance.js';

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
  /** In place of the fixture's and the dtype's relative tolerance. */
  readonly rtol?: number | undefined;
  /** In place of the fixture's and the dtype's absolute tolerance. */
  readonly atol?: number | undefined;
  /** Declare the input with the fixture's sizes rather than with names for all but the channels. */
  readonly staticShapes?: boolean | undefined;
}

/** What came of one fixture run in one way. */
export interface CaseResult {
  /** The fixture's path. */
  readonly file: string;
  /** Name in the graph registry; `unknown` where the file could not be read. */
  readonly graph: string;
  /** How GroupNormalization is written in the model. */
  readonly lowering: LoweringName;
  /** Of the model's default ONNX domain. */
  readonly opset: number;
  /** The execution provider that ran it. */
  readonly provider: Provider;
  /** Whether it ran and every output is within its tolerance. */
  readonly passed: boolean;
  /** One comparison for each output of the fixture; none if the case could not be run. */
  readonly outputs: readonly OutputComparison[];
  /** Why the case could not be run, which counts as failed. */
  readonly error?: { readonly code: string; readonly message: string };
  /** How GroupNormalization ran, where the model had the operator; nothing if it did not run. */
  readonly groupNorm?: GroupNormExecution;
  /** Building, loading, running and comparing. */
  readonly milliseconds: number;
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
  const result = await attempt(() => runAndCompare(openSession, fixture, spec, buildGraph));
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

async function attempt(
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

type Outcome = Pick<CaseResult, 'outputs' | 'groupNorm'>;

async function runAndCompare(
  openSession: OpenSession,
  fixture: Fixture,
  spec: CheckSpec,
  buildGraph: BuildGraph,
): Promise<Outcome> {
  const graph = buildGraph(fixture.graph, fixture.options, inputType(fixture, spec));
  const weights = weightsOf(fixture, graph);
  const model = encodeModel(graph, weights, { opset: spec.opset, lowering: spec.lowering });
  const session = await openSession(model, { providers: [spec.provider], groupNorm: spec.groupNorm });
  try {
    const actual = await session.run(Object.fromEntries(fixture.inputs));
    const outputs = [...fixture.outputs.keys()].map((name) => compareOutput(fixture, spec, name, actual));
    return { outputs, ...(session.groupNorm && { groupNorm: session.groupNorm }) };
  } finally {
    await session.dispose();
  }
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

function compareOutput(
  fixture: Fixture,
  spec: CheckSpec,
  name: string,
  actual: TensorRecord,
): OutputComparison {
  const expected = fixture.outputs.get(name)!;
  const value = Object.hasOwn(actual, name) ? actual[name] : undefined;
  if (!value) {
    throw new ParityError(
      'OUTPUT_MISSING',
      `the fixture expects an output '${name}', but the model has ${Object.keys(actual).join(', ')}`,
    );
  }
  const { rtol, atol } = defaultTolerance(expected.dtype);
  const tolerance = {
    rtol: spec.rtol ?? fixture.rtol ?? rtol,
    atol: spec.atol ?? fixture.atol ?? atol,
  };
  return compareTensors(name, value, expected, tolerance, fixture.truth.get(name));
}
