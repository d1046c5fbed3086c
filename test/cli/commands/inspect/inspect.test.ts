import { expect } from 'chai';
import { describe, it } from 'mocha';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { encodeNpy } from '../../../../lib/files/npy.js';
import { describeInspection } from '../../../../lib/cli/commands/inspect/report.js';
import { inspectModel } from '../../../../lib/insight/node.js';
import type { ModelInspection } from '../../../../lib/insight/inspect/types.js';
import { type GroupNormCase, groupNormModel, randomTensor } from '../../../support/group-norm.js';
import { onnx, useTemporaryFolder } from '../../support.js';

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
    expect(stdout).to.include('is wrong if the mean of a group is many times its standard deviation');
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

  it('inspect --random runs the model, and adds what it measured to the table', async () => {
    writeFileSync(at('in.onnx'), model());
    const { code, stdout } = await onnx('inspect', at('in.onnx'), '--random', '--dim', 'D0=1,D2=4,D3=4');
    expect(code).to.equal(0);
    expect(stdout).to.match(/Run on: +(native|cpu)\n/);
    expect(stdout).to.match(/name +mean ÷ dev +inlined error +operator/);
    expect(stdout).to.match(/GroupNormalization +0\.\d+ +\d\.\de-[78] /);
    expect(stdout).to.include('is right for this input: off by');
  });

  it('inspect --input measures the tensor of a file', async () => {
    writeFileSync(at('in.onnx'), model());
    writeFileSync(at('x.npy'), encodeNpy(CASE.x));
    expect(
      (await onnx('inspect', at('in.onnx'), '--input', `x=${at('x.npy')}`, '--json', at('out.json'))).code,
    ).to.equal(0);
    const { provider, normalizations } = await inspectModel(at('in.onnx'), { feeds: { x: CASE.x } });
    const written = JSON.parse(readFileSync(at('out.json'), 'utf8')) as ModelInspection;
    expect(written.provider).to.equal(provider);
    expect(written.normalizations[0]!.statistics).to.deep.equal(normalizations[0]!.statistics);
  });

  it('inspect --html writes a page with the table, and with charts if the model was run', async () => {
    writeFileSync(at('in.onnx'), model());
    const pageOf = async (...args: string[]) => {
      expect((await onnx('inspect', at('in.onnx'), '--html', at('out.html'), ...args)).code).to.equal(0);
      return readFileSync(at('out.html'), 'utf8');
    };
    const plain = await pageOf();
    expect(plain)
      .to.include('1 normalization in the order')
      .and.to.include('is wrong if the mean of a group is many times its standard deviation');
    expect(plain).not.to.include('<svg');
    const measured = await pageOf('--random', '--dim', 'D0=1,D2=4,D3=4');
    expect(measured.match(/<svg/g)).to.have.length(2);
    expect(measured.match(/<circle/g)).to.have.length(2);
    expect(measured).to.include("default-src 'none'");
  });

  it('inspect says what is wrong with the inputs of a run, exits with 2 and writes nothing', async () => {
    writeFileSync(at('in.onnx'), model());
    writeFileSync(at('x.npy'), encodeNpy(randomTensor('float32', [1, 6, 4, 4])));
    const cases: [args: string[], message: string][] = [
      [['--random'], 'no size for D0, D2, D3; add --dim D0=SIZE'],
      [['--input', 'z=random'], "'z' is not an input of the model"],
      [['--input', `x=${at('x.npy')}`], "input 'x' has shape [1, 6, 4, 4]"],
      [['--dim', 'D0=1'], '--dim is for a run: add --random'],
      [['--provider', 'native'], '--provider is for a run'],
      [['--random', '--dim', 'D0=1,D2=4,D3=4', '--provider', 'gpu'], "unknown execution provider 'gpu'"],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await onnx(
        'inspect',
        at('in.onnx'),
        ...args,
        '--html',
        at('out.html'),
      );
      expect([code, stdout], args.join(' ')).to.deep.equal([2, '']);
      expect(stderr).to.include(message);
      expect(existsSync(at('out.html'))).to.equal(false);
    }
    const over = await onnx('inspect', at('in.onnx'), '--input', `x=${at('x.npy')}`, '--html', at('x.npy'));
    expect(over.stderr).to.include('would overwrite');
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
