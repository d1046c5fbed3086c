import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  type InputRequest,
  inputSources,
  loadInputs,
  randomTensor,
  splitInputs,
} from '../../../../lib/cli/commands/run/inputs.js';
import { Progress } from '../../../../lib/cli/shared/progress.js';
import { UsageError } from '../../../../lib/cli/shared/terminal.js';
import {
  castTensor,
  type DType,
  elementCount,
  encodeNpy,
  FileError,
  type FloatDType,
  type Shape,
  tensor,
  type TensorInfo,
} from '../../../../lib/index.js';
import { Random } from '../../../../lib/weights/initialize.js';
import { floats, Sink, useTemporaryFolder } from '../../support.js';

const info = (name: string, shape: Shape | undefined, dtype: DType = 'float32'): TensorInfo => ({
  name,
  dtype,
  shape,
});
const request = (
  input: Record<string, string>,
  dim: Record<string, number> = {},
  seed = 0,
): InputRequest => ({
  input: new Map(Object.entries(input)),
  dim: new Map(Object.entries(dim)),
  seed,
});

describe('loadInputs', () => {
  const at = useTemporaryFolder();
  const refuses = async (infos: TensorInfo[], asked: InputRequest, message: RegExp) => {
    const error: unknown = await loadInputs(infos, asked).catch((caught: unknown) => caught);
    expect(error).to.be.instanceOf(UsageError);
    expect((error as Error).message).to.match(message);
  };

  it('run --input x=random makes standard normal numbers, in the dtype and shape of the input', async () => {
    const { feeds } = await loadInputs(
      [info('x', ['N', 100, 'H'])],
      request({ x: 'random' }, { N: 10, H: 10 }),
    );
    const x = feeds.x!;
    expect([x.dtype, x.dims]).to.deep.equal(['float32', [10, 100, 10]]);
    const values = Array.from(x.data as Float32Array);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    // Of 10,000 numbers the standard errors are 0.01 and 0.014; five times these.
    expect(mean).to.be.closeTo(0, 0.05);
    expect(variance).to.be.closeTo(1, 0.07);
  });

  it('run leaves out an optional input unless --input names it', async () => {
    const infos = [info('x', [2]), { ...info('weight', [3]), optional: true }];
    const without = await loadInputs(infos, request({ x: 'random' }));
    expect(Object.keys(without.feeds)).to.deep.equal(['x']);
    const { feeds } = await loadInputs(infos, request({ x: 'random', weight: 'random' }));
    expect(feeds.weight!.dims).to.deep.equal([3]);
  });

  it('run gives two random inputs the same sizes for a name, but different numbers', async () => {
    const infos = [info('a', ['N']), info('b', ['N'])];
    const { feeds } = await loadInputs(infos, request({ a: 'random', b: 'random' }, { N: 5 }));
    expect([feeds.a!.dims, feeds.b!.dims]).to.deep.equal([[5], [5]]);
    expect([...feeds.a!.data]).not.to.deep.equal([...feeds.b!.data]);
  });

  it('run takes a file, but no random numbers, for an input of any rank', async () => {
    const infos = [info('x', undefined)];
    await refuses(
      infos,
      request({ x: 'random' }),
      /does not declare the rank of input 'x', so it cannot be random; use a file: --input x=FILE\.npy/,
    );
    writeFileSync(at('x.npy'), encodeNpy(floats([2, 1], [1, 2])));
    expect((await loadInputs(infos, request({ x: at('x.npy') }))).feeds.x!.dims).to.deep.equal([2, 1]);
  });

  it('run --dim names a dimension without a name by input and axis', async () => {
    const infos = [info('x', ['', 2])];
    await refuses(infos, request({ x: 'random' }), /'x' \[\?, 2\]: no size for x\.0; add --dim x\.0=SIZE/);
    const { feeds } = await loadInputs(infos, request({ x: 'random' }, { 'x.0': 3 }));
    expect(feeds.x!.dims).to.deep.equal([3, 2]);
  });

  it('run makes random numbers of every float dtype', async () => {
    for (const dtype of ['float16', 'bfloat16', 'float64'] as const) {
      const { feeds } = await loadInputs([info('x', [2, 2], dtype)], request({ x: 'random' }));
      expect([feeds.x!.dtype, feeds.x!.data.length]).to.deep.equal([dtype, elementCount([2, 2])]);
    }
  });

  it('run refuses random integers, and asks for a file', () =>
    refuses(
      [info('ids', ['N', 2], 'int64')],
      request({ ids: 'random' }),
      /'ids' is int64.*--input ids=FILE\.npy/,
    ));

  it('run converts float32 numbers of a file for a bfloat16 input, with a note', async () => {
    writeFileSync(at('x.npy'), encodeNpy(floats([2], [1, 2.5])));
    const { feeds, notes } = await loadInputs([info('x', [2], 'bfloat16')], request({ x: at('x.npy') }));
    expect([feeds.x!.dtype, ...feeds.x!.data]).to.deep.equal(['bfloat16', 0x3f80, 0x4020]);
    expect(notes).to.deep.equal([`input x: ${at('x.npy')} converted from float32 to bfloat16`]);
  });

  it('run notes NaN in a file, because every element of its group becomes NaN', async () => {
    writeFileSync(at('x.npy'), encodeNpy(floats([3], [1, NaN, 2])));
    const { notes } = await loadInputs([info('x', [3])], request({ x: at('x.npy') }));
    expect(notes).to.deep.equal(['input x: 1 of 3 elements is NaN']);
  });

  it('run refuses a file that torch.save wrote, and says how to convert it', async () => {
    writeFileSync(at('x.pt'), Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 8, 8));
    const error: unknown = await loadInputs([info('x', [3])], request({ x: at('x.pt') })).catch(
      (caught: unknown) => caught,
    );
    expect(error).to.be.instanceOf(FileError);
    expect((error as FileError).message).to.match(
      /x\.pt is not a valid \.npy file: it is a zip archive, such as torch\.save writes; in Python: numpy\.save\(/,
    );
  });

  it('run does not convert integers to floats, nor floats to integers', async () => {
    writeFileSync(at('i.npy'), encodeNpy(tensor('int64', [1], BigInt64Array.of(1n))));
    await refuses(
      [info('x', [1])],
      request({ x: at('i.npy') }),
      /i\.npy is int64.*'x' is float32.*astype\('float32'\)/,
    );
    writeFileSync(at('f.npy'), encodeNpy(floats([1], [1])));
    await refuses([info('x', [1], 'int64')], request({ x: at('f.npy') }), /astype\('int64'\)/);
  });

  it('run lists all missing and unknown inputs at once', () =>
    refuses(
      [info('image', [1]), info('mask', [1])],
      request({ imag: 'random' }),
      /'imag' is not an input of the model: did you mean 'image'\?\n.*'image' is missing.*\n.*'mask' is missing/,
    ));

  it('run refuses a random input with too many elements, with its shape and size', () =>
    refuses(
      [info('image', ['batch', 1, 'height', 'width'])],
      request({ image: 'random' }, { batch: 1, height: 80000, width: 80000 }),
      /'image' \[1, 1, 80000, 80000\] would have 6400000000 elements, 25\.6 GB of float32; allowed: at most 2147483647/,
    ));

  it('run refuses a random input whose number of elements is not exact, and does not call it infinite', () =>
    refuses(
      [info('image', ['batch', 2 ** 40, 2 ** 20])],
      request({ image: 'random' }, { batch: 1 }),
      /'image' \[1, 1099511627776, 1048576\] would have more than 2\^53 elements; allowed: at most 2147483647/,
    ));

  it('run reports a mistyped name of --dim before the name that it leaves out, with a suggestion', () =>
    refuses(
      [info('x', ['batch', 'height'])],
      request({ x: 'random' }, { batch: 1, heigth: 8 }),
      /^--dim heigth: .*did you mean 'height'\?; the names are batch, height$/,
    ));

  it('run refuses a size of --dim that no random input needs', async () => {
    writeFileSync(at('x.npy'), encodeNpy(floats([2], [1, 2])));
    await refuses(
      [info('x', ['N'])],
      request({ x: at('x.npy') }, { N: 2 }),
      /--dim N: .*no input is random; the inputs are x=.*x\.npy$/,
    );
    await refuses(
      [info('x', [3])],
      request({ x: 'random' }, { N: 2 }),
      /--dim N: .*the sizes of all dimensions are fixed$/,
    );
  });

  it("run repeats the inputs if 'random' is mistyped and --dim has sizes", () =>
    refuses(
      [info('x', ['N'])],
      request({ x: 'randm' }, { N: 2 }),
      /no input is random; the inputs are x=randm$/,
    ));
});

describe('inputSources', () => {
  it('--random makes the inputs random that have no --input, but for optional ones', () => {
    const infos = [info('x', ['N', 4]), info('y', [4]), { ...info('z', [4]), optional: true }];
    expect([...inputSources({ input: ['y=y.npy'], random: true, seed: 0 }, infos)]).to.deep.equal([
      ['y', 'y.npy'],
      ['x', 'random'],
    ]);
    expect([...inputSources({ seed: 0 }, infos)]).to.deep.equal([]);
  });
});

describe('splitInputs', () => {
  const split = (names: string[], ...texts: string[]) =>
    Object.fromEntries(
      splitInputs(
        texts,
        names.map((name) => info(name, [])),
      ),
    );

  it('splitInputs takes the longest name that is an input of the model, for names and paths that contain =', () => {
    expect(split(['x'], 'x=a=b.npy')).to.deep.equal({ x: 'a=b.npy' });
    expect(split(['a=b'], 'a=b=x.npy')).to.deep.equal({ 'a=b': 'x.npy' });
    expect(split(['a', 'a=b'], 'a=b=x.npy', 'a=x.npy')).to.deep.equal({ 'a=b': 'x.npy', a: 'x.npy' });
    expect(split(['a', 'a=b'], 'a=b=')).to.deep.equal({ a: 'b=' });
    expect(split(['x'], 'y=z=x.npy')).to.deep.equal({ y: 'z=x.npy' });
  });

  it('splitInputs refuses an input that is given twice', () => {
    expect(() => split(['a=b'], 'a=b=x.npy', 'a=b=y.npy')).to.throw(UsageError, "--input gives 'a=b' twice");
  });
});

const xOf = (dtype: FloatDType) => ({ name: 'x', dtype, shape: ['N'] });

describe('randomTensor', () => {
  it('randomTensor sets element i to number i of the generator, rounded to the dtype, in every chunk', async () => {
    const random = new Random(5, 'x');
    const length = 2 ** 17 + 3;
    const numbers = new Float64Array(length).map((_, i) => random.normal(i));
    for (const dtype of ['float64', 'float32', 'float16', 'bfloat16'] as const) {
      const { data } = await randomTensor(xOf(dtype), [length], 5);
      const expected = castTensor(tensor('float64', [length], numbers), dtype).data;
      expect(Buffer.from(data.buffer).equals(Buffer.from(expected.buffer)), dtype).to.be.true;
    }
  });

  it('randomTensor makes an empty tensor', async () => {
    expect((await randomTensor(xOf('float32'), [0, 3], 0)).dims).to.deep.equal([0, 3]);
  });

  it('randomTensor reports its progress, and leaves the event loop free between chunks', async () => {
    const steps: string[] = [];
    const progress = new Progress(new Sink());
    progress.step = (text) => void steps.push(text);
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    await randomTensor(xOf('float32'), [2 ** 19], 0, progress);
    clearInterval(timer);
    progress.stop();
    expect(steps).to.deep.equal([0, 25, 50, 75].map((percent) => `random input x, ${percent} %`));
    expect(turns).to.be.at.least(2);
  });

  it('randomTensor refuses more elements than the generator has numbers', async () => {
    const error: unknown = await randomTensor(xOf('float32'), [2 ** 31], 0).catch(
      (caught: unknown) => caught,
    );
    expect(error).to.be.instanceOf(UsageError);
    expect((error as Error).message).to.include('allowed: at most 2147483647 elements');
  });
});
