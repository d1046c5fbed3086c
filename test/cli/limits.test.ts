/** `--limit`, which sets other limits for the files that a command reads. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { tensor, writeSafetensors } from '../../lib/index.js';
import { all, int, message, text, valueInfo } from '../onnx/bytes.js';
import { onnx, useTemporaryFolder } from './support.js';

/** One byte more than the limit of a name in a model. */
const LONG = 'v'.repeat(2 ** 16 + 1);
const FLOAT = 1;

/** Relu, Relu, with a long name between them. */
const LONG_NAMED = all(
  int(1, 8),
  message(
    7,
    message(1, text(1, 'x'), text(2, LONG), text(4, 'Relu')),
    message(1, text(1, LONG), text(2, 'y'), text(4, 'Relu')),
    valueInfo(11, 'x', FLOAT, 2),
    valueInfo(12, 'y', FLOAT, 2),
  ),
  message(8, int(2, 17)),
);

/** A TensorProto of float32 [1, 1, …] of `rank` dimensions. */
const tensorOfRank = (rank: number): Uint8Array =>
  all(...Array.from({ length: rank }, () => int(1, 1)), int(2, FLOAT), message(9, [0, 0, 128, 63]));

/** A TensorProto of float32 [2]. */
const TWO_ELEMENTS = all(int(1, 2), int(2, FLOAT), message(9, [0, 0, 128, 63, 0, 0, 0, 64]));

describe('--limit', () => {
  const at = useTemporaryFolder();
  const writeModel = () => writeFileSync(at('m.onnx'), LONG_NAMED);
  const commands: readonly (readonly [name: string, args: () => string[]])[] = [
    ['run', () => ['run', at('m.onnx'), '--input', 'x=random', '--provider', 'cpu']],
    ['convert', () => ['convert', at('m.onnx'), '-o', at('out.onnx')]],
    ['inspect', () => ['inspect', at('m.onnx')]],
  ];
  for (const [name, args] of commands) {
    it(`${name} --limit takes a model that the default refuses, and the refusal says how`, async () => {
      writeModel();
      const refused = await onnx(...args());
      expect([refused.code, refused.stdout]).to.deep.equal([2, '']);
      expect(refused.stderr).to.include('--limit modelNameBytes=NUMBER');
      const taken = await onnx(...args(), '--limit', 'modelNameBytes=Infinity');
      expect([taken.code, taken.stderr]).to.deep.equal([0, '']);
    });
  }

  it('build --limit holds for the file of the weights', async () => {
    const build = ['build', 'group-norm', '--num-groups', '1', '--num-channels', '2', '-o', at('gn.onnx')];
    const tensors = new Map(
      ['weight', 'bias'].map((name) => [name, tensor('float32', [2], Float32Array.of(1, 2))]),
    );
    await writeSafetensors(at('w.safetensors'), { tensors });
    const { code, stderr } = await onnx(
      ...build,
      '--weights',
      at('w.safetensors'),
      '--limit',
      'weightsEntries=1',
    );
    expect(code).to.equal(2);
    expect(stderr).to.include('it has more than 1 tensors');
  });

  it('parity --limit holds for the model and the tensors of a data set', async () => {
    mkdirSync(at('test_data_set_0'));
    writeFileSync(at('model.onnx'), LONG_NAMED);
    for (const name of ['input_0.pb', 'output_0.pb'])
      writeFileSync(at(`test_data_set_0/${name}`), TWO_ELEMENTS);
    expect((await onnx('parity', at())).code).to.equal(2);
    const { code, stdout } = await onnx('parity', at(), '--limit', `modelNameBytes=${LONG.length}`);
    expect(code, stdout).to.equal(0);
  });

  it('run --limit holds for TensorProtos', async () => {
    writeModel();
    writeFileSync(at('x.pb'), tensorOfRank(65));
    const run = ['run', at('m.onnx'), '--limit', 'modelNameBytes=1e6'];
    const refused = await onnx(...run, '--input', `x=${at('x.pb')}`);
    expect(refused.stderr).to.include('--limit modelRank=NUMBER');
    const read = await onnx(...run, '--input', `x=${at('x.pb')}`, '--limit', 'modelRank=65');
    expect(read.stderr, 'read, but of another shape than the input').to.match(/input 'x'.*\[2\]/);
  });

  it('--limit refuses unknown limits, values that are not numbers, and texts without =', async () => {
    const errors: readonly (readonly [text: string, message: RegExp])[] = [
      ['modelrank=3', /has no option 'modelrank': did you mean 'modelRank'\?/],
      ['modelRank=many', /limits\.modelRank must be a number of at least 0, or Infinity; it is NaN/],
      ['modelRank=-1', /it is -1/],
      ['modelRank', /--limit takes NAME=NUMBER, such as modelRank=100/],
      ['__proto__=1', /has no option/],
    ];
    writeModel();
    for (const [given, wanted] of errors) {
      const { code, stderr } = await onnx('inspect', at('m.onnx'), '--limit', given);
      expect([code, wanted.test(stderr)], stderr).to.deep.equal([2, true]);
    }
  });
});
