/** Checks the committed fixtures, which hold PyTorch's outputs, in this browser. */
import { checkFixture, describeFailure, getGraph, type CaseResult } from '../../lib/browser.js';
import type { ParityCase, WebProvider } from '../protocol.js';
import { fetchFixture, fetchManifest } from './files.js';
import { progress } from './progress.js';

const OPSET = 21;

export async function checkParity(
  provider: WebProvider,
  report: (result: ParityCase) => void,
): Promise<{ cases: number }> {
  const { fixtures } = await fetchManifest();
  for (const [index, path] of fixtures.entries()) {
    progress(path, index, fixtures.length);
    const fixture = await fetchFixture(`fixtures/${path}`);
    const spec = { lowering: 'op', opset: OPSET, provider } as const;
    const result = await checkFixture(fixture, spec, (name, options, input) =>
      getGraph(name).build(options, input),
    );
    report(toCase(path, result));
  }
  return { cases: fixtures.length };
}

function toCase(path: string, result: CaseResult): ParityCase {
  const { graph, passed, outputs, error } = result;
  const worst = outputs.reduce((max, { maxAbs }) => Math.max(max, maxAbs), 0);
  return {
    name: path.replace(/\.safetensors$/, ''),
    graph,
    // A provider without a kernel, for example for float64 on a GPU, has not computed wrong numbers.
    status: passed ? 'passed' : isOutOfReach(error) ? 'not run' : 'failed',
    maxAbs: outputs.length > 0 ? worst : undefined,
    rtol: outputs[0]?.rtol,
    atol: outputs[0]?.atol,
    problem: passed ? undefined : (error?.message ?? describeFailure(result)),
  };
}

const isOutOfReach = (error: CaseResult['error']): boolean =>
  error?.code === 'PROVIDER_UNAVAILABLE' || /Provider type for .* is not set/.test(error?.message ?? '');
