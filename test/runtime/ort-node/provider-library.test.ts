import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { problemOfLibrary } from '../../../lib/runtime/ort-node/cuda.js';
import { library } from '../../support/provider-library.js';

describe('runtime/ort-node/cuda: problemOfLibrary', () => {
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'library-'))));
  afterEach(() => rm(folder, { recursive: true }));
  const problem = async (content: Uint8Array) => {
    const path = join(folder, 'libonnxruntime_providers_cuda.so');
    await writeFile(path, content);
    return problemOfLibrary(path, '1.30.0');
  };

  it('problemOfLibrary accepts a library of the same version, and a library that names no version', async () => {
    expect(await problem(library('\x001.30.0\0'))).to.be.undefined;
    expect(await problem(library('\x001.2.13\0 zlib \x001.30.0\0'))).to.be.undefined;
    expect(await problem(library('no version, but 1.29.0 in a text\0'))).to.be.undefined;
  });

  it('problemOfLibrary reports a library of another version, with both versions and the remedy', async () => {
    const found = await problem(library('\x001.29.0\0'));
    expect(found!.reason).to.equal(
      'libonnxruntime_providers_cuda.so is of ONNX Runtime 1.29.0, and onnxruntime-node of 1.30.0',
    );
    expect(found!.remedy).to.include('of ONNX Runtime 1.30.0 there: ONNXRUNTIME_NODE_INSTALL=true node ');
  });

  it('problemOfLibrary finds a version across the border of two chunks', async () => {
    for (let before = -8; before <= 0; before++) {
      const filler = 'x'.repeat((4 << 20) - 64 + before);
      expect(await problem(library(`${filler}\x001.29.0\0`)), String(before)).to.be.ok;
    }
  });

  it('problemOfLibrary reports a file that is cut off or not a library as damaged', async () => {
    const whole = library('\x001.30.0\0');
    for (const content of [
      whole.subarray(0, -1),
      whole.subarray(0, 20),
      Buffer.from('text'),
      Buffer.alloc(0),
    ]) {
      expect((await problem(content))!.reason).to.equal(
        'libonnxruntime_providers_cuda.so is damaged: it is not a library, or cut off',
      );
    }
  });
});
