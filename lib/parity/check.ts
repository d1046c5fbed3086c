import { ParityError } from '../errors.js';
import type { Graph, Weights } from '../graph/index.js';
import type { LoweringName, SessionLoweringName } from '../lowering/index.js';
import { encodeModel } from '../onnx/index.js';
import type { Provider, Session, SessionOptions } from '../runtime/common.js';
import type { DType, Shape } from '../tensor.js';
import { requireKnownOptions } from '../options.js';
import { counterWeights } from '../weights/counter.js';
import { matchStateDict } from '../weights/state-dict.js';
import { attempt, runAndCompare, type CaseResult, type Outcome } from './case.js';
import type { Fixture } from './fixture.js';

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
  const session = await openSession(model, { providers: [spec.provider], groupNorm: spec.groupNorm });
  try {
    const tolerance = { rtol: spec.rtol ?? fixture.rtol, atol: spec.atol ?? fixture.atol };
    return await runAndCompare(session, fixture, tolerance, fixture.truth);
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
