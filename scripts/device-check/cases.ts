/** One case of the parity suite. */
import { getGraph } from '../../graphs/registry.js';
import {
  checkFixture,
  describeFailure,
  readFixture,
  type CaseResult,
  type Fixture,
  type SessionLoweringName,
} from '../../lib/index.js';
import { isRefusal } from './failures.js';
import type { CaseJob } from './jobs.js';
import type { CaseRow } from './report.js';

/** The jobs of a case follow one another. */
let last: Fixture | undefined;

/** @returns The row, and whether the session ended with an error behind which others may fail as well. */
export async function runCase(job: CaseJob): Promise<{ readonly row: CaseRow; readonly spoiled: boolean }> {
  const { name, file, provider, lowering, opset, asked } = job;
  if (last?.file !== file) last = await readFixture(file);
  const spec = { lowering, opset, provider, ...(asked !== null && { groupNorm: asked }) };
  const result = await checkFixture(last, spec, (graph, options, input) =>
    getGraph(graph).build(options, input),
  );
  const { error } = result;
  return { row: caseRow(name, result, asked), spoiled: error !== undefined && !isRefusal(error) };
}

/** A result as a row of the report. */
export function caseRow(name: string, result: CaseResult, asked: SessionLoweringName | null): CaseRow {
  const { lowering, opset, groupNorm, passed, error, outputs } = result;
  // In the suite a refusal is a failure: a session is to run every case.
  const isRefused = asked !== null && error !== undefined && isRefusal(error);
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
