import { expect } from 'chai';
import { describe, it } from 'mocha';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { ModelComparison } from '../../../../lib/insight/compare/comparison.js';
import { encodeNpy } from '../../../../lib/files/npy.js';
import { tensor } from '../../../../lib/tensor.js';
import { groupNormModel, randomTensor } from '../../../support/group-norm.js';
import { castNode, declared, node, smallModel } from '../../../support/small-model.js';
import { floats, onnx, parseXml, useTemporaryFolder } from '../../support.js';

/** y = relu(x) w - x, with the value `scaled` in between. */
const scaledBy = (...w: number[]): Uint8Array =>
  smallModel(
    [node('Relu', 'x', 'positive'), node('Mul', 'positive w', 'scaled'), node('Sub', 'scaled x', 'y')],
    { weights: { w: tensor('float32', [4], Float32Array.from(w)) } },
  );

const X = floats([2, 4], [1, -2, 3, 4, 5, 6, -7, 8]);

describe('compare', () => {
  const at = useTemporaryFolder();
  const models = (a = scaledBy(1, 1, 1, 1), b = scaledBy(1, 1.5, 1, 1.25)): [string, string] => {
    writeFileSync(at('a.onnx'), a);
    writeFileSync(at('b.onnx'), b);
    writeFileSync(at('x.npy'), encodeNpy(X));
    return [at('a.onnx'), at('b.onnx')];
  };
  const input = () => ['--input', `x=${at('x.npy')}`];

  it('compare prints the first value beyond the tolerance, its node and its worst element, and exits with 1', async () => {
    const { code, stdout, stderr } = await onnx('compare', ...models(), ...input());
    expect([code, stderr]).to.deep.equal([1, '']);
    expect(stdout)
      .to.include(
        "The first value beyond the tolerance: 'scaled'\n  value:    2 of 3 in the order of the graph\n",
      )
      .and.to.include("made by:  Mul 'node of scaled'\n")
      .and.to.include('worst:    index [1, 1]: actual 9, expected 6\n')
      .and.to.include('beyond:   3 of 8 elements (rtol 1.3e-6, atol 1e-5)\n')
      .and.to.match(/ 2 +scaled +Mul +3\.0e\+0 +5\.0e-1 /)
      .and.to.include('FAILED: 1 within the tolerance, 2 beyond\n');
  });

  it('compare exits with 0 if nothing drifts, on one model and several providers or lowerings', async () => {
    const x = randomTensor('float32', [1, 8, 4, 4]);
    const scale = randomTensor('float32', [8], { stream: 'scale' });
    writeFileSync(
      at('gn.onnx'),
      groupNormModel({ x, scale, numGroups: 2, eps: 1e-5 }, { lowering: 'op', opset: 21 }),
    );
    const random = ['--random', '--dim', 'D0=1,D2=4,D3=4'];
    const lowerings = ['--group-norm', 'default,reduce-mean,instance-norm'];
    const one = await onnx('compare', at('gn.onnx'), ...lowerings, ...random);
    expect([one.code, one.stderr]).to.deep.equal([0, '']);
    expect(one.stdout)
      .to.include('reduce-mean against default')
      .and.to.include('instance-norm against default');
    expect(one.stdout).to.include('No drift: 1 within the tolerance, 0 beyond');
    const other = await onnx('compare', at('gn.onnx'), '--provider', 'cpu,wasm', ...random);
    expect(other.code).to.equal(0);
    expect(other.stdout).to.include('wasm against cpu: 1 value\n');
  });

  it('compare says that the error grows slowly if it jumps at no value', async () => {
    const { stdout } = await onnx(
      'compare',
      ...models(scaledBy(1, 1, 1, 1), scaledBy(1, 1 + 5e-6, 1, 1)),
      ...input(),
    );
    expect(stdout).to.include("The first value beyond the tolerance: 'scaled'");
    expect(stdout).to.include('The error does not jump at any value');
  });

  it('compare --json has every value, --junit a case for each, and --html a page with heat maps', async () => {
    const reports = ['--json', at('r.json'), '--junit', at('r.xml'), '--html', at('r.html')];
    expect((await onnx('compare', ...models(), ...input(), ...reports)).code).to.equal(1);
    const { passed, comparisons } = JSON.parse(readFileSync(at('r.json'), 'utf8')) as {
      passed: boolean;
      comparisons: ModelComparison[];
    };
    expect(passed).to.equal(false);
    expect(comparisons[0]!.values.map(({ name, verdict }) => [name, verdict])).to.deep.equal([
      ['positive', 'within'],
      ['scaled', 'drifts'],
      ['y', 'drifts'],
    ]);
    const suite = parseXml(readFileSync(at('r.xml'), 'utf8')).children[0]!;
    expect(suite.attributes).to.deep.include({ tests: '3', failures: '2' });
    expect(suite.children[1]!.children[0]!.attributes.message).to.include("value 'scaled': 3 of 8 elements");
    const page = readFileSync(at('r.html'), 'utf8');
    expect(page)
      .to.include('<svg class="chart"')
      .and.to.include('class="heat-6"')
      .and.to.include('node of scaled');
    const { stdout, stderr } = await onnx('compare', ...models(), ...input(), '--json', '-');
    expect((JSON.parse(stdout) as { passed: boolean }).passed).to.equal(false);
    expect(stderr).to.include('FAILED');
  });

  it('compare says what is not finite, of another type, or on one side only', async () => {
    const log = smallModel([node('Log', 'x', 'log'), castNode('log', 'int', 'int32'), castNode('int', 'other', 'float32'), node('Relu', 'log', 'y')]); // prettier-ignore
    const dead = smallModel([node('Log', 'x', 'log'), node('Relu', 'log', 'y')], {
      output: [declared('y', 'float32', ['N', 4]), declared('log', 'float32', ['N', 4])],
    });
    const { code, stdout } = await onnx('compare', ...models(dead, log), ...input());
    expect(code).to.equal(1);
    expect(stdout)
      .to.include("on both sides, of which nothing can be said: 2 values, 'log', 'y' (output)")
      .and.to.include('FAILED: 0 within the tolerance, 0 beyond, 2 not finite');
  });

  it('compare prints names from files without their control characters', async () => {
    const evil = (w: number) =>
      smallModel([node('Mul', 'x w', '\u001b[2Jevil\n'), node('Relu', '\u001b[2Jevil\n', 'y')], {
        weights: { w: tensor('float32', [1], Float32Array.of(w)) },
      });
    const reports = ['--html', at('r.html'), '--junit', at('r.xml'), '--json', at('r.json')];
    const { code, stdout } = await onnx('compare', ...models(evil(1), evil(2)), ...input(), ...reports);
    expect(code).to.equal(1);
    expect(stdout).to.include("'\\u001b[2Jevil\\u000a'");
    for (const text of [
      stdout,
      ...['r.html', 'r.xml', 'r.json'].map((name) => readFileSync(at(name), 'utf8')),
    ])
      expect(text).not.to.match(/\u001b/);
  });

  const refused: [string, string[], RegExp][] = [
    ['one side', ['a.onnx', '--random'], /two sides: a second model, several providers/],
    ['three models', ['a.onnx', 'b.onnx', 'a.onnx'], /third argument/],
    [
      'two causes',
      ['a.onnx', 'b.onnx', '--provider', 'cpu,wasm'],
      /two models and --provider cannot be compared at once/,
    ],
    [
      'an unknown provider',
      ['a.onnx', '--provider', 'cpu,cuba'],
      /unknown execution provider 'cuba'.*did you mean 'cuda'/,
    ],
    ['an unknown lowering', ['a.onnx', '--group-norm', 'default,opp'], /unknown lowering 'opp'/],
    ['no inputs', ['a.onnx', 'b.onnx'], /input 'x' is missing/],
    ['a missing input file', ['a.onnx', 'b.onnx', '--input', 'x=no.npy'], /no\.npy.*does not exist/],
    ['a missing model', ['a.onnx', 'no.onnx', '--random', '--dim', 'N=1'], /no\.onnx.*does not exist/],
    ['a page of HTML', ['a.onnx', 'page.onnx', '--random', '--dim', 'N=1'], /it is a page of HTML/],
    ['a truncated model', ['cut.onnx', 'b.onnx', '--random', '--dim', 'N=1'], /damaged/],
    ['an empty file', ['a.onnx', 'empty.onnx', '--random', '--dim', 'N=1'], /this file is empty/],
    ['other inputs', ['a.onnx', 'z.onnx', '--random', '--dim', 'N=1'], /must have the same inputs/],
    ['a report over a model', ['a.onnx', 'b.onnx', '--html', 'a.onnx'], /would overwrite/],
    ['a page on stdout', ['a.onnx', 'b.onnx', '--html', '-'], /only --json takes -/],
    ['a tolerance below 0', ['a.onnx', 'b.onnx', '--rtol', '-1'], /at least 0/],
  ];
  for (const [what, args, message] of refused) {
    it(`compare refuses ${what}: exit 2, one message, nothing written`, async () => {
      models();
      writeFileSync(at('page.onnx'), '<!doctype html>');
      writeFileSync(at('cut.onnx'), scaledBy(1, 1, 1, 1).subarray(0, -3));
      writeFileSync(at('empty.onnx'), '');
      writeFileSync(
        at('z.onnx'),
        smallModel([node('Relu', 'z', 'y')], { input: [declared('z', 'float32', ['N', 4])] }),
      );
      const paths = args.map((arg) =>
        arg.replace(/^(x=)?(\w+\.(onnx|npy))$/, (_, name = '', file: string) => name + at(file)),
      );
      const { code, stdout, stderr } = await onnx('compare', ...paths, '--json', at('out.json'));
      expect([code, stdout]).to.deep.equal([2, '']);
      expect(stderr).to.match(message);
      expect(existsSync(at('out.json'))).to.equal(false);
    });
  }
});
