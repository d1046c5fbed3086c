import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { runCases } from '../../../lib/cli/commands/parity-plan.js';
import { Progress } from '../../../lib/cli/shared/progress.js';
import { type CheckSpec, describeFailure } from '../../../lib/index.js';
import { copyModel, TORCH_MODEL } from '../../support/test-data.js';
import { Sink, useTemporaryFolder, writeFixture } from '../support.js';

const SPECS: CheckSpec[] = [
  { lowering: 'op', opset: 21, provider: 'cpu' },
  { lowering: 'layer-norm', opset: 17, provider: 'cpu' },
];

describe('cli/parity-cases', () => {
  const at = useTemporaryFolder();
  const run = (specs: CheckSpec[], ...names: string[]) =>
    runCases(
      names.map((name) => ({ path: at(name), isDataSet: !name.endsWith('.safetensors') })),
      { fixtures: specs, dataSets: () => [{ provider: 'cpu' }, { provider: 'wasm', groupNorm: 'op' }] },
      new Progress(new Sink()),
    );

  it('runs every fixture in every way, and listens to Ctrl+C only meanwhile', async () => {
    const listeners = process.listenerCount('SIGINT');
    await writeFixture(at('a.safetensors'));
    await writeFixture(at('b.safetensors'), { error: 1 });
    const { results, unreadable, notRun } = await run(SPECS, 'a.safetensors', 'b.safetensors');
    expect(results.map(({ file, lowering, opset, passed }) => [file, lowering, opset, passed])).to.deep.equal(
      [
        [at('a.safetensors'), 'op', 21, true],
        [at('a.safetensors'), 'layer-norm', 17, true],
        [at('b.safetensors'), 'op', 21, false],
        [at('b.safetensors'), 'layer-norm', 17, false],
      ],
    );
    expect([unreadable, notRun]).to.deep.equal([0, 0]);
    expect(process.listenerCount('SIGINT')).to.equal(listeners);
  });

  it('a file that is none is one failed case, with the reason', async () => {
    writeFileSync(at('none.safetensors'), 'no fixture');
    await writeFixture(at('a.safetensors'));
    const { results, unreadable } = await run(
      SPECS,
      'none.safetensors',
      'missing.safetensors',
      'a.safetensors',
    );
    expect(results.map(({ error }) => error?.code)).to.deep.equal([
      'SAFETENSORS_INVALID',
      'FILE_NOT_FOUND',
      undefined,
      undefined,
    ]);
    expect(results[0]).to.include({ graph: 'unknown', passed: false, milliseconds: 0 });
    expect(unreadable).to.equal(2);
  });

  it("marks the fixtures that allow more than the dtype's default, unless the command line sets the tolerance", async () => {
    // float32: rtol 1.3e-6, atol 1e-5.
    await writeFixture(at('loose.safetensors'), { metadata: { atol: '1e-4' } });
    await writeFixture(at('tight.safetensors'), { metadata: { atol: '1e-6', rtol: '1.3e-6' } });
    const files = ['loose.safetensors', 'tight.safetensors'];
    expect([...(await run(SPECS, ...files)).loose]).to.deep.equal([at('loose.safetensors')]);
    const strict = SPECS.map((spec) => ({ ...spec, atol: 1e-5 }));
    expect([...(await run(strict, ...files)).loose]).to.deep.equal([]);
  });

  it('runs a data set in its own ways, at the opset of its model, beside fixtures', async () => {
    await writeFixture(at('a.safetensors'));
    copyModel(TORCH_MODEL, at('torch'));
    const { results } = await run(SPECS.slice(1), 'a.safetensors', 'torch/test_data_set_0');
    expect(
      results.map(({ graph, lowering, opset, provider }) => [graph, lowering, opset, provider]),
    ).to.deep.equal([
      ['group-norm', 'layer-norm', 17, 'cpu'],
      ['torch', 'default', 21, 'cpu'],
      ['torch', 'op', 21, 'wasm'],
    ]);
    expect(results.map(describeFailure)).to.deep.equal(['', '', '']);
  });

  it('a data set that cannot be read is one failed case, of its model', async () => {
    const { results, unreadable } = await run(SPECS, 'net/test_data_set_0');
    const model = at('net/model.onnx');
    expect(results).to.have.length(1);
    expect(results[0]).to.include({ graph: 'net', model, lowering: 'default', opset: 0, passed: false });
    expect([results[0]!.error?.code, unreadable]).to.deep.equal(['FILE_NOT_FOUND', 1]);
  });
});
