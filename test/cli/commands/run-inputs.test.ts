import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { type InputRequest, loadInputs } from '../../../lib/cli/commands/run-tensors.js';
import { UsageError } from '../../../lib/cli/shared/terminal.js';
import {
  type DType,
  elementCount,
  encodeNpy,
  FileError,
  type Shape,
  tensor,
  type TensorInfo,
} from '../../../lib/index.js';
import { floats, useTemporaryFolder } from '../support.js';

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

describe('cli/run-inputs', () => {
  const at = useTemporaryFolder();
  const refuses = async (infos: TensorInfo[], asked: InputRequest, message: RegExp) => {
    const error: unknown = await loadInputs(infos, asked).catch((caught: unknown) => caught);
    expect(error).to.be.instanceOf(UsageError);
    expect((error as Error).message).to.match(message);
  };

  it('random numbers are standard normal, in the dtype and the shape that is asked for', async () => {
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

  it('two inputs share the sizes of their names but not their numbers', async () => {
    const infos = [info('a', ['N']), info('b', ['N'])];
    const { feeds } = await loadInputs(infos, request({ a: 'random', b: 'random' }, { N: 5 }));
    expect([feeds.a!.dims, feeds.b!.dims]).to.deep.equal([[5], [5]]);
    expect([...feeds.a!.data]).not.to.deep.equal([...feeds.b!.data]);
  });

  it('an input of any rank takes a file, and has no shape for random numbers', async () => {
    const infos = [info('x', undefined)];
    await refuses(
      infos,
      request({ x: 'random' }),
      /'x' is of any rank: .* give it a file, --input x=FILE\.npy/,
    );
    writeFileSync(at('x.npy'), encodeNpy(floats([2, 1], [1, 2])));
    expect((await loadInputs(infos, request({ x: at('x.npy') }))).feeds.x!.dims).to.deep.equal([2, 1]);
  });

  it('a dimension that the model gives no name is bound by input and axis', async () => {
    const infos = [info('x', ['', 2])];
    await refuses(infos, request({ x: 'random' }), /'x' \[\?, 2\]: no size for x\.0; add --dim x\.0=SIZE/);
    const { feeds } = await loadInputs(infos, request({ x: 'random' }, { 'x.0': 3 }));
    expect(feeds.x!.dims).to.deep.equal([3, 2]);
  });

  it('half-precision inputs get half-precision numbers', async () => {
    for (const dtype of ['float16', 'bfloat16', 'float64'] as const) {
      const { feeds } = await loadInputs([info('x', [2, 2], dtype)], request({ x: 'random' }));
      expect([feeds.x!.dtype, feeds.x!.data.length]).to.deep.equal([dtype, elementCount([2, 2])]);
    }
  });

  it('random integers are refused, with what to do instead', () =>
    refuses(
      [info('ids', [2], 'int64')],
      request({ ids: 'random' }),
      /'ids' is int64.*--input ids=FILE\.npy/,
    ));

  it('float16 numbers in a file become a bfloat16 input, with a note', async () => {
    writeFileSync(at('x.npy'), encodeNpy(floats([2], [1, 2.5])));
    const { feeds, notes } = await loadInputs([info('x', [2], 'bfloat16')], request({ x: at('x.npy') }));
    expect([feeds.x!.dtype, ...feeds.x!.data]).to.deep.equal(['bfloat16', 0x3f80, 0x4020]);
    expect(notes).to.deep.equal([`input x: ${at('x.npy')} converted from float32 to bfloat16`]);
  });

  it('NaN in a file is noted, for every element of its group becomes NaN', async () => {
    writeFileSync(at('x.npy'), encodeNpy(floats([3], [1, NaN, 2])));
    const { notes } = await loadInputs([info('x', [3])], request({ x: at('x.npy') }));
    expect(notes).to.deep.equal(['input x: 1 of 3 elements is NaN']);
  });

  it('what torch.save wrote is not an input, with the way to make one of it', async () => {
    writeFileSync(at('x.pt'), Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 8, 8));
    const error: unknown = await loadInputs([info('x', [3])], request({ x: at('x.pt') })).catch(
      (caught: unknown) => caught,
    );
    expect(error).to.be.instanceOf(FileError);
    expect((error as FileError).message).to.match(
      /x\.pt is not a valid \.npy file: it is a zip archive, such as torch\.save writes; in Python: numpy\.save\(/,
    );
  });

  it('integers are not converted to floats, nor floats to integers', async () => {
    writeFileSync(at('i.npy'), encodeNpy(tensor('int64', [1], BigInt64Array.of(1n))));
    await refuses(
      [info('x', [1])],
      request({ x: at('i.npy') }),
      /i\.npy is int64.*'x' is float32.*astype\('float32'\)/,
    );
    writeFileSync(at('f.npy'), encodeNpy(floats([1], [1])));
    await refuses([info('x', [1], 'int64')], request({ x: at('f.npy') }), /astype\('int64'\)/);
  });

  it('everything that is missing or unknown is listed at once', () =>
    refuses(
      [info('image', [1]), info('mask', [1])],
      request({ imag: 'random' }),
      /'imag' is not an input of the model: did you mean 'image'\?\n.*'image' is missing.*\n.*'mask' is missing/,
    ));

  it('a random input with too many elements is refused before anything is allocated, with its shape and size', () =>
    refuses(
      [info('image', ['batch', 1, 'height', 'width'])],
      request({ image: 'random' }, { batch: 1, height: 80000, width: 80000 }),
      /'image' \[1, 1, 80000, 80000\] would have 6400000000 elements, 25\.6 GB of float32; allowed: at most 2147483647/,
    ));

  it('a mistyped size is reported before the one that it leaves out, with the nearest name', () =>
    refuses(
      [info('x', ['batch', 'height'])],
      request({ x: 'random' }, { batch: 1, heigth: 8 }),
      /^--dim heigth: .*did you mean 'height'\?; names: batch, height$/,
    ));

  it('a size with nothing to give it to is refused', async () => {
    writeFileSync(at('x.npy'), encodeNpy(floats([2], [1, 2])));
    await refuses(
      [info('x', ['N'])],
      request({ x: at('x.npy') }, { N: 2 }),
      /--dim N: .*no input is random, but: x=.*x\.npy$/,
    );
    await refuses([info('x', [3])], request({ x: 'random' }, { N: 2 }), /--dim N: .*there are none to give/);
  });

  it("a mistyped 'random' is shown where sizes are given for it", () =>
    refuses([info('x', ['N'])], request({ x: 'randm' }, { N: 2 }), /no input is random, but: x=randm$/));
});
