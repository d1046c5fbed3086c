import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ProviderFallback } from '../../../lib/runtime/core/contract.js';
import { runProgram } from '../../support/program.js';

interface Opened {
  readonly provider: string;
  readonly fallbacks: readonly ProviderFallback[];
  /** The code and message of each warning so far. */
  readonly warnings: readonly (readonly [string, string])[];
}

type Sessions = Record<'wasm' | 'named' | 'cpu' | 'again', Opened>;

const opened = new Map<string, Promise<Sessions>>();

/** Sessions of a process in which the addon cannot be loaded. One process for each addon: the tests read the same output. */
function openWithout(addon: string): Promise<Sessions> {
  if (!opened.has(addon)) opened.set(addon, openInProcess(addon));
  return opened.get(addon)!;
}

async function openInProcess(addon: string): Promise<Sessions> {
  const programs = new URL('programs.ts', import.meta.url);
  const env = { ONNX_GROUPNORM_ADDON: addon };
  const { stdout } = await runProgram(programs, 'createWithoutKernel', { env });
  return JSON.parse(stdout) as Sessions;
}

const MISSING = '/nonexistent/onnx_groupnorm.node';

describe('sessions where the native kernel is missing', function () {
  this.timeout(60_000);

  it('a session on cpu names native among its fallbacks, with the way to get the kernel, and once a process a warning does', async () => {
    const { cpu, again } = await openWithout(MISSING);
    expect(cpu.provider).to.equal('cpu');
    const [{ provider, reason }, ...others] = cpu.fallbacks as [ProviderFallback];
    expect([provider, others]).to.deep.equal(['native', []]);
    const [[code, message], ...more] = again.warnings as [readonly [string, string]];
    expect([code, more]).to.deep.equal(['ONNX_GROUPNORM_NO_KERNEL', []]);
    expect(cpu.warnings).to.deep.equal(again.warnings);
    for (const text of [reason, message]) {
      expect(text).to.include(`${MISSING} cannot be loaded`);
      expect(text).to.include('set ONNX_GROUPNORM_ADDON to a binary that loads, or unset it');
    }
  });

  it('a session that asks for native before cpu has one entry for native', async () => {
    const { again } = await openWithout(MISSING);
    expect(again.fallbacks.map(({ provider }) => provider)).to.deep.equal(['native']);
  });

  it('a session on another provider, or with a named groupNorm, loses no kernel and does not speak of it', async () => {
    const { wasm, named } = await openWithout(MISSING);
    expect(wasm).to.deep.equal({ provider: 'wasm', fallbacks: [], warnings: [] });
    expect(named).to.deep.equal({ provider: 'cpu', fallbacks: [], warnings: [] });
  });

  it('a process that leaves the kernel out on purpose gets no warning, but the entry', async () => {
    const { cpu, again } = await openWithout('skip');
    const reason = 'ONNX_GROUPNORM_ADDON=skip is set in the environment';
    expect(cpu.fallbacks).to.deep.equal([{ provider: 'native', reason }]);
    expect(again.warnings).to.deep.equal([]);
  });
});
