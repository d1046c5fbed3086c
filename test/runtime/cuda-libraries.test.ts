import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeMissing, missingForCuda } from '../../lib/runtime/cuda-libraries.js';

const GLIBC = `
	linux-vdso.so.1 (0x00007ffd)
	libcublasLt.so.13 => not found
	libcublas.so.13 => not found
	libcudnn.so.9 => not found
	libcudart.so.13 => /usr/local/cuda/lib64/libcudart.so.13 (0x00007f)
	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)
`;

describe('runtime/cuda-libraries', () => {
  it('names what is not found by what it comes with, each once, in the order of installing', () => {
    expect(describeMissing(GLIBC).map(({ reason }) => reason)).to.deep.equal([
      'the libraries of CUDA 13 are not found',
      'the libraries of cuDNN 9 are not found',
    ]);
    for (const { remedy } of describeMissing(GLIBC)) expect(remedy).to.match(/^install (CUDA 13|cuDNN 9) /);
  });

  it("understands musl's loader, and what it does not know", () => {
    const report =
      'Error loading shared library libnvinfer.so.10: No such file or directory (needed by x)\n' +
      'Error loading shared library libmystery.so.2: No such file or directory (needed by x)\n';
    expect(describeMissing(report).map(({ reason }) => reason)).to.deep.equal([
      'the libraries of TensorRT 10 are not found',
      'not found: libmystery.so.2',
    ]);
  });

  it("does not miss what onnxruntime-node's own process has loaded", () => {
    expect(describeMissing('libonnxruntime.so.1 => not found\n')).to.deep.equal([]);
    expect(describeMissing('')).to.deep.equal([]);
  });

  describe('what is missing', () => {
    let folder: string;
    beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'cuda-'))));
    afterEach(() => rm(folder, { recursive: true }));
    const reasons = async (provider: 'cuda' | 'tensorrt', sign: string) =>
      (await missingForCuda(provider, folder, [sign])).map(({ reason }) => reason);

    it('is the driver first, then the library of the provider, each with a remedy', async () => {
      const problems = await missingForCuda('cuda', folder, [join(folder, 'no-driver')]);
      expect(problems.map(({ reason }) => reason)).to.deep.equal([
        `there is no NVIDIA driver: no ${join(folder, 'no-driver')}`,
        `libonnxruntime_providers_shared.so and libonnxruntime_providers_cuda.so not in ${folder}`,
      ]);
      expect(problems[0]!.remedy).to.include('nvidia-smi');
      expect(problems[1]!.remedy).to.include('npm rebuild onnxruntime-node');
    });

    it('is only what is not there', async () => {
      await writeFile(join(folder, 'libonnxruntime_providers_shared.so'), '');
      expect(await reasons('tensorrt', folder)).to.deep.equal([
        `libonnxruntime_providers_tensorrt.so not in ${folder}`,
      ]);
      await writeFile(join(folder, 'libonnxruntime_providers_tensorrt.so'), '');
      expect(await reasons('tensorrt', folder)).to.deep.equal([]);
    });
  });
});
