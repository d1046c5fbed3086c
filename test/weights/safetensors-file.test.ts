import { copyFile, mkdir, open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FileError, WeightsError } from '../../lib/errors.js';
import { tensor, type TensorData } from '../../lib/tensor.js';
import { openSafetensors, writeSafetensors } from '../../lib/weights/safetensors-file.js';
import { decodeSafetensors } from '../../lib/weights/safetensors.js';
import { rejection, temporaryFolder } from '../support/temporary.js';

const SAMPLE = new URL('../samples/dtypes.safetensors', import.meta.url);
const weight = tensor('float32', [2, 2], Float32Array.of(1, 2, 3, 4));
const bias = tensor('float16', [2], Uint16Array.of(0x3c00, 0xc000));
const TENSORS = [
  ['conv.weight', weight],
  ['conv.bias', bias],
] as const;

describe('safetensors files', () => {
  const path = temporaryFolder();

  it('openSafetensors reads tensor by tensor', async () => {
    await copyFile(SAMPLE, path('file'));
    const file = await openSafetensors(path('file'));
    const expected = decodeSafetensors(await readFile(SAMPLE));
    expect(file.path).to.equal(path('file'));
    expect(file.metadata).to.deep.equal(expected.metadata);
    expect(file.keys()).to.deep.equal([...expected.tensors.keys()]);
    for (const [name, data] of expected.tensors) expect(await file.read(name)).to.deep.equal(data);
    expect(await file.readAll()).to.deep.equal(expected.tensors);
    await file.close();
  });

  it('openSafetensors lists the tensors without reading them', async () => {
    await writeSafetensors(path('file'), { tensors: TENSORS });
    const file = await openSafetensors(path('file'));
    const { size } = await stat(path('file'));
    expect(file.info('conv.weight')).to.deep.include({ dtype: 'float32', dims: [2, 2] });
    expect(file.info('conv.bias')).to.include({ dtype: 'float16', start: size - 4, end: size });
    expect([file.has('conv.bias'), file.has('conv')]).to.deep.equal([true, false]);
    await file.close();
  });

  it('openSafetensors takes no more memory for a file of 6 GiB than the tensors that are read', async () => {
    const GIB = 2 ** 30;
    const header = JSON.stringify({
      large: { dtype: 'F32', shape: [3 * 2 ** 29], data_offsets: [0, 6 * GIB] },
      small: { dtype: 'U8', shape: [3], data_offsets: [6 * GIB, 6 * GIB + 3] },
    });
    const handle = await open(path('large'), 'w');
    await handle.writeFile(Uint8Array.of(header.length, 0, 0, 0, 0, 0, 0, 0));
    await handle.writeFile(header);
    await handle.write(Uint8Array.of(1, 2, 3), 0, 3, 8 + header.length + 6 * GIB);
    await handle.close();
    const before = process.memoryUsage().arrayBuffers;
    const file = await openSafetensors(path('large'));
    expect((await file.read('small')).data).to.deep.equal(Uint8Array.of(1, 2, 3));
    expect(file.info('large').dims).to.deep.equal([3 * 2 ** 29]);
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(1e6);
    await file.close();
  });

  it('openSafetensors reads the tensors beside those of a dtype that it does not hold', async () => {
    const file = await openSafetensors(
      fileURLToPath(new URL('../samples/checkpoint.safetensors', import.meta.url)),
    );
    expect(file.keys()).to.deep.equal(['complex', 'norm.bias', 'norm.weight', 'float4']);
    expect((await file.read('norm.weight')).data).to.deep.equal(Float32Array.of(1.5, 2.5));
    expect([...(await file.readAll(['norm.bias'])).values()]).to.deep.equal([
      tensor('float32', [2], Float32Array.of(0.5, -0.5)),
    ]);
    expect(file.info('float4')).to.include({ storedAs: 'F4', dtype: undefined });
    for (const name of ['complex', 'float4']) {
      expect(await rejection(file.read(name)))
        .to.be.instanceOf(WeightsError)
        .with.property('code', 'UNSUPPORTED_DTYPE');
    }
    await file.close();
  });

  it('openSafetensors says that an 8-bit float becomes float32', async () => {
    const file = await openSafetensors(
      fileURLToPath(new URL('../samples/float8.safetensors', import.meta.url)),
    );
    expect(file.info('e4m3fn')).to.include({ storedAs: 'F8_E4M3', dtype: 'float32' });
    expect(await file.read('e4m3fn')).to.deep.equal(await file.read('e4m3fn.float32'));
    await file.close();
  });

  it('openSafetensors suggests the nearest name of a tensor', async () => {
    await writeSafetensors(path('file'), { tensors: TENSORS });
    const file = await openSafetensors(path('file'));
    const near = await rejection(file.read('conv.wieght'));
    expect(near).to.be.instanceOf(WeightsError).with.property('code', 'TENSOR_NOT_FOUND');
    expect((near as Error).message).to.equal(
      `${path('file')} has no tensor 'conv.wieght'; did you mean 'conv.weight'?`,
    );
    expect(() => file.info('x')).to.throw(WeightsError, "has no tensor 'x'; it has 2 others");
    expect(() => file.info('__proto__')).to.throw(WeightsError, 'has no tensor');
    await file.close();
  });

  it('openSafetensors refuses missing and broken files', async () => {
    expect(await rejection(openSafetensors(path('missing')))).to.have.property('code', 'FILE_NOT_FOUND');
    for (const size of [0, 5, 8, 500, 1168]) {
      await copyFile(SAMPLE, path('file'));
      await truncate(path('file'), size);
      const error = await rejection(openSafetensors(path('file')));
      expect(error).to.be.instanceOf(WeightsError).with.property('code', 'SAFETENSORS_INVALID');
      expect((error as Error).message).to.include(`${path('file')} is not a valid safetensors file`);
    }
  });

  it('openSafetensors refuses to read a file that has shrunk since it was opened', async () => {
    await copyFile(SAMPLE, path('file'));
    const file = await openSafetensors(path('file'));
    await truncate(path('file'), 1000);
    expect(await rejection(file.readAll())).to.be.instanceOf(FileError);
    await file.close();
  });

  it('openSafetensors returns a file that can be closed twice, and not read after', async () => {
    await copyFile(SAMPLE, path('file'));
    const file = await openSafetensors(path('file'));
    await file.close();
    await file.close();
    expect(await rejection(file.read('bool'))).to.be.instanceOf(FileError);
  });

  it('writeSafetensors writes a file that can be read again, the same bytes each time', async () => {
    const content = { metadata: { graph: 'group-norm' }, tensors: TENSORS };
    await writeSafetensors(path('a'), content);
    await writeSafetensors(path('b'), content);
    expect(await readFile(path('a'))).to.deep.equal(await readFile(path('b')));
    const file = await openSafetensors(path('a'));
    expect(await file.readAll()).to.deep.equal(new Map<string, TensorData>(TENSORS));
    expect(file.metadata['graph']).to.equal('group-norm');
    await file.close();
  });

  it('writeSafetensors leaves the old file and no other if it fails', async () => {
    await writeFile(path('file'), 'old');
    const twice = await rejection(
      writeSafetensors(path('file'), {
        tensors: [
          ['a', bias],
          ['a', bias],
        ],
      }),
    );
    expect(twice).to.be.instanceOf(WeightsError);
    await mkdir(path('folder'));
    expect(await rejection(writeSafetensors(path('folder'), { tensors: TENSORS }))).to.be.instanceOf(
      FileError,
    );
    expect(await readFile(path('file'), 'utf8')).to.equal('old');
    expect(await readdir(path())).to.have.members(['file', 'folder']);
  });
});
