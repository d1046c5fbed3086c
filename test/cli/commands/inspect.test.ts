import { expect } from 'chai';
import { describe, it } from 'mocha';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describeInspection } from '../../../lib/cli/commands/inspect-report.js';
import { inspectModel } from '../../../lib/insight/node.js';
import type { ModelInspection } from '../../../lib/insight/types.js';
import { type GroupNormCase, groupNormModel, randomTensor } from '../../support/group-norm.js';
import { onnx, useTemporaryFolder } from '../support.js';

const CASE: GroupNormCase = {
  x: randomTensor('float32', [1, 8, 4, 4]),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  numGroups: 2,
  eps: Math.fround(1e-5),
};
const model = (): Uint8Array => groupNormModel(CASE, { lowering: 'op', opset: 21 });

describe('inspect', () => {
  const at = useTemporaryFolder();

  it('inspect prints the head of a model, a row for each normalization, and the warnings', async () => {
    writeFileSync(at('in.onnx'), model());
    const { code, stdout, stderr } = await onnx('inspect', at('in.onnx'));
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout).to.include('opsets ai.onnx 21').and.to.include('x float32 [D0, 8, D2, D3]');
    expect(stdout).to.include('1 normalization\n').and.to.include('native: kernel; others: reduce-mean');
    expect(stdout).to.match(/GroupNormalization +operator +\[D0, 8, D2, D3\] +2 +8 +1e-5 +yes/);
    expect(stdout).to.include('off by 0.5 at mean 300');
  });

  it('inspect --json writes what inspectModel returns, to a file or to stdout', async () => {
    writeFileSync(at('in.onnx'), model());
    const expected = JSON.parse(JSON.stringify(await inspectModel(at('in.onnx')))) as ModelInspection;
    expect((await onnx('inspect', at('in.onnx'), '--json', at('out.json'))).code).to.equal(0);
    expect(JSON.parse(readFileSync(at('out.json'), 'utf8'))).to.deep.equal(expected);
    const { stdout, stderr } = await onnx('inspect', at('in.onnx'), '--json', '-');
    expect(JSON.parse(stdout)).to.deep.equal(expected);
    expect(stderr).to.include('1 normalization\n');
  });

  it('inspect prints a table that fits the terminal', async () => {
    const lines = describeInspection('in.onnx', await inspectModel(model()), 60)
      .join('\n')
      .split('\n');
    const [head, row] = lines.slice(lines.indexOf('1 normalization') + 1);
    for (const line of [head!, row!]) expect(line.length).to.be.at.most(60);
    expect(row).to.include('GroupNormalization');
  });

  it('inspect exits with 2 for bad input, says what the file is, and writes nothing', async () => {
    writeFileSync(at('page.onnx'), '<!doctype html>');
    writeFileSync(at('cut.onnx'), model().subarray(0, -3));
    writeFileSync(at('empty.onnx'), '');
    const messages = { page: 'it is a page of HTML', cut: 'damaged', empty: 'this file is empty', missing: 'does not exist' }; // prettier-ignore
    for (const [name, message] of Object.entries(messages)) {
      const { code, stdout, stderr } = await onnx('inspect', at(`${name}.onnx`), '--json', at('out.json'));
      expect([code, stdout]).to.deep.equal([2, '']);
      expect(stderr).to.include(message);
      expect(existsSync(at('out.json'))).to.equal(false);
    }
  });

  it('inspect refuses to write its report over the model', async () => {
    writeFileSync(at('in.onnx'), model());
    const { code, stderr } = await onnx('inspect', at('in.onnx'), '--json', at('in.onnx'));
    expect(code).to.equal(2);
    expect(stderr).to.include('would overwrite');
  });
});
