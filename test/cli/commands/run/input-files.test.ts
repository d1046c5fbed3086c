import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readInputFile, tensorFromJson } from '../../../../lib/cli/commands/run/input-files.js';
import { UsageError } from '../../../../lib/cli/shared/terminal.js';
import { decodeNpy, encodeModel, encodeNpy, GraphBuilder, op } from '../../../../lib/index.js';
import { type DType, tensor } from '../../../../lib/tensor.js';
import { rejection } from '../../../support/temporary.js';
import { floats, onnx, useTemporaryFolder } from '../../support.js';

const sample = (name: string): string => fileURLToPath(new URL(`../../../samples/${name}`, import.meta.url));
const input = (name: string, dtype: DType = 'float32') => ({ name, dtype, shape: undefined });

async function refusal(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    expect(error).to.be.instanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error('not refused');
}

describe('readInputFile', () => {
  const at = useTemporaryFolder();

  it('readInputFile takes the array of a .npz archive with the name of the input, or the only array', async () => {
    const x = await readInputFile(sample('npz/arrays.npz'), input('x'));
    expect([...x.data]).to.deep.equal([0, -0, 1.5, -2.25, Infinity, NaN]);
    expect((await readInputFile(sample('npz/compressed.npz'), input('mask'))).dtype).to.equal('bool');
    expect((await readInputFile(sample('npz/one.npz'), input('any'))).dtype).to.equal('float64');
    expect(await refusal(() => readInputFile(sample('npz/arrays.npz'), input('y')))).to.match(
      /arrays\.npz has the arrays x, mask, in\/ü, but no array 'y'; in Python: numpy\.savez\('inputs\.npz', \*\*\{'y': x\}\)$/,
    );
  });

  it('readInputFile takes a TensorProto from a .pb file, as parity does', async () => {
    const value = await readInputFile(sample('tensors/int16-typed.pb'), input('x', 'int16'));
    expect([value.dtype, ...value.data]).to.deep.equal(['int16', 0, 1, 2, 100, -32768, 32767]);
  });

  it('readInputFile refuses JSON of more than 32 MiB before it parses the text', async () => {
    writeFileSync(at('large.json'), '['.repeat(2 ** 25 + 1));
    expect(await refusal(() => readInputFile(at('large.json'), input('x')))).to.match(
      /large\.json has 33554433 bytes; run reads JSON files of at most 33554432: save the array as a \.npy file$/,
    );
  });

  it('readInputFile takes any other file as .npy', async () => {
    writeFileSync(at('x.bin'), encodeNpy(floats([1], [3])));
    expect(await readInputFile(at('x.bin'), input('x'))).to.deep.equal(floats([1], [3]));
  });

  it('readInputFile refuses a file of the wrong size or kind before it reads it whole', async () => {
    // Their bytes are a hole, which takes no room on the disk; in memory they would take 8 GiB.
    const sparse = async (name: string, start: Uint8Array = new Uint8Array(0)) => {
      writeFileSync(at(name), start);
      truncateSync(at(name), 2 ** 33);
      return ((await rejection(readInputFile(at(name), input('x')))) as Error).message;
    };
    expect(await sparse('a.npy', encodeNpy(floats([1], [3])))).to.match(/4 bytes, but 8589934464 follow/);
    expect(await sparse('b.npy')).to.include('it does not begin with');
    expect(await sparse('c.npz')).to.include('it has no directory at its end');
    expect(await sparse('d.pb')).to.match(/8589934592/);
    expect(await sparse('e.json')).to.include('run reads JSON files of at most 33554432');
  });

  it('run takes .npz, .pb and JSON files, and the input of a name that contains =', async () => {
    const g = new GraphBuilder('sum');
    const [a, ab] = [g.input('a', 'float32', ['N']), g.input('a=b', 'float32', ['N'])];
    g.output('y', op.add(g, a, ab));
    writeFileSync(at('sum.onnx'), encodeModel(g.build(), new Map()));
    writeFileSync(at('a.json'), '[1, 2.5, -3]');
    writeFileSync(at('b=.npy'), encodeNpy(floats([3], [10, 20, 30])));
    const files = ['--input', `a=b=${at('b=.npy')}`, '--input', `a=${at('a.json')}`];
    const { code, stderr } = await onnx('run', at('sum.onnx'), ...files, '--output', at('out'));
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(decodeNpy(readFileSync(at('out/y.npy')))).to.deep.equal(floats([3], [11, 22.5, 27]));
    const missing = await onnx('run', at('sum.onnx'), '--input', 'a=random', '--dim', 'N=3');
    expect(missing.stderr).to.include('add --input a=b=FILE.npy');
  });
});

describe('tensorFromJson', () => {
  const read = (text: string, dtype: DType = 'float32') => tensorFromJson(text, dtype, 'x.json');

  it('tensorFromJson makes a tensor of nested lists, in the dtype of the input', () => {
    expect(read('[[1, 2, 3], [4, 5.5, -6]]')).to.deep.equal(floats([2, 3], [1, 2, 3, 4, 5.5, -6]));
    expect(read('[1, 0.1]', 'float16')).to.deep.equal(tensor('float16', [2], Uint16Array.of(0x3c00, 0x2e66)));
    expect(read('[-9007199254740991]', 'int64').data).to.deep.equal(BigInt64Array.of(-9007199254740991n));
    expect(read('[true, false, 1]', 'bool').data).to.deep.equal(Uint8Array.of(1, 0, 1));
    expect(read('7', 'uint8')).to.deep.equal(tensor('uint8', [], Uint8Array.of(7)));
    expect(read('[[], []]')).to.deep.equal(floats([2, 0], []));
  });

  const refused: [text: string, dtype: DType, message: string][] = [
    ['[1,', 'float32', 'x.json is not JSON: '],
    ['[NaN]', 'float32', 'JSON has no NaN and no infinity, a .npy file holds them'],
    [
      '[[1, 2], [3]]',
      'float32',
      'x.json: element [1] is a list of 1, not a list of 2 as the lists before it',
    ],
    ['[[1], 2]', 'float32', 'x.json: element [1] is 2, not a list of 1 as the lists before it'],
    [
      '[[1, [2]]]',
      'float32',
      'x.json: element [0][1] is a list of 1; the input takes nested lists of float32',
    ],
    ['{"x": [1]}', 'float32', 'x.json: the value is an object; the input takes nested lists of float32'],
    ['["1"]', 'float32', 'element [0] is "1"'],
    ['[null]', 'float32', 'element [0] is null'],
    ['[true]', 'float32', 'element [0] is true'],
    ['[2]', 'bool', 'element [0] is 2; the input takes nested lists of bool'],
    ['[1.5]', 'int32', 'element [0] is 1.5; the input takes nested lists of int32'],
    ['[256]', 'uint8', 'element [0] is 256'],
    ['[-1]', 'uint64', 'element [0] is -1'],
    [
      '[9007199254740993]',
      'int64',
      'element [0] is 9007199254740992; JSON holds integers up to 2^53 - 1 exactly: save the array as a .npy file',
    ],
    [`${'['.repeat(70)}${']'.repeat(70)}`, 'float32', 'x.json has more than 64 dimensions'],
    [
      `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`,
      'float32',
      'lists or objects are nested more than 64 deep',
    ],
    ['[[], 1]', 'float32', 'x.json: element [1] is 1, not a list of 0 as the lists before it'],
    ['[[], [1]]', 'float32', 'x.json: element [1] is a list of 1, not a list of 0 as the lists before it'],
    ['[[[]], []]', 'float32', 'x.json: element [1] is a list of 0, not a list of 1 as the lists before it'],
    ['[1, []]', 'float32', 'x.json: element [1] is a list of 0; the input takes nested lists of float32'],
    ['[1] 2', 'float32', 'x.json is not JSON: unexpected "2" at character 4'],
    [`"${'['.repeat(70)}"`, 'float32', 'the value is "[[['],
  ];
  for (const [text, dtype, message] of refused) {
    it(`tensorFromJson refuses ${text.slice(0, 20)} as ${dtype}`, async () => {
      expect(await refusal(() => read(text, dtype))).to.include(message);
    });
  }
});
