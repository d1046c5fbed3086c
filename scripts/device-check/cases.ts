/** The parity suite on one provider. */
import { basename } from 'node:path';
import { getGraph } from '../../graphs/registry.js';
import {
  checkFixture,
  describeFailure,
  readFixture,
  loweringsAt,
  type CaseResult,
  type CheckSpec,
  type Fixture,
  type Provider,
  type SessionLoweringName,
} from '../../lib/index.js';
import { parityFixtures } from '../../test/support/fixtures.js';
import type { CaseRow } from './report.js';

const NORMS = ['group-norm', 'onnx'];
/** At fewer opsets: their norms differ in one operator, which `group-norm` tests at all of them. */
const NETWORKS = ['resnet-block', 'double-conv', 'unet', 'detection-backbone', 'norm-comparison'];
const NETWORK_OPSETS = [17, 21];
const CANDIDATE_OPSET = 21;

/** What a session says of a way that a provider or a kernel does not have: no result, and no wrong one. */
const REFUSALS = ['MODEL_REJECTED', 'PROVIDER_UNAVAILABLE'];

export interface CaseSelection {
  readonly provider: Provider;
  readonly opsets: readonly number[];
  /** Of `group-norm float16`. */
  readonly names: RegExp;
  readonly candidates: readonly SessionLoweringName[];
  progress(text: string): void;
}

/** Every case × lowering × opset as a session runs it by itself, and every case of a norm as each candidate. */
export async function runCases(
  selection: CaseSelection,
): Promise<{ readonly suite: CaseRow[]; readonly candidates: CaseRow[] }> {
  const suite: CaseRow[] = [];
  const candidates: CaseRow[] = [];
  for (const folder of [...NORMS, ...NETWORKS]) {
    const isNorm = NORMS.includes(folder);
    for (const file of parityFixtures(folder)) {
      const name = `${folder} ${basename(file, '.safetensors')}`;
      if (!selection.names.test(name)) continue;
      selection.progress(name);
      const fixture = await readFixture(file);
      for (const spec of suiteSpecs(selection, isNorm)) suite.push(await runCase(name, fixture, spec));
      for (const spec of isNorm ? candidateSpecs(selection) : []) {
        candidates.push(await runCase(name, fixture, spec));
      }
    }
  }
  return { suite, candidates };
}

const suiteSpecs = ({ provider, opsets }: CaseSelection, isNorm: boolean): CheckSpec[] =>
  opsets
    .filter((opset) => isNorm || NETWORK_OPSETS.includes(opset))
    .flatMap((opset) => loweringsAt(opset).map((lowering) => ({ lowering, opset, provider })));

const candidateSpecs = ({ provider, candidates }: CaseSelection): CheckSpec[] =>
  candidates.map((groupNorm) => ({ lowering: 'op', opset: CANDIDATE_OPSET, provider, groupNorm }));

async function runCase(name: string, fixture: Fixture, spec: CheckSpec): Promise<CaseRow> {
  const result = await checkFixture(fixture, spec, (graph, options, input) =>
    getGraph(graph).build(options, input),
  );
  return caseRow(name, result, spec.groupNorm ?? null);
}

/** A result as a row of the report. */
export function caseRow(name: string, result: CaseResult, asked: SessionLoweringName | null): CaseRow {
  const { lowering, opset, groupNorm, passed, error, outputs } = result;
  // In the suite a refusal is a failure: a session is to run every case.
  const isRefused = asked !== null && error !== undefined && REFUSALS.includes(error.code);
  const largest = Math.max(...outputs.map(({ maxAbs }) => maxAbs));
  return {
    name,
    lowering,
    opset,
    asked,
    ranAs: groupNorm ?? null,
    outcome: passed ? 'passed' : isRefused ? 'refused' : 'failed',
    error: Number.isFinite(largest) ? largest : null,
    ...(!passed && { reason: describeFailure(result) }),
  };
}
