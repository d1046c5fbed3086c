import { expect } from 'chai';
import { describe, it } from 'mocha';
import { loadsInChild, missingCudnn } from '../../../lib/runtime/ort-node/cuda.js';

describe('runtime/ort-node/cuda: cuDNN', () => {
  it('missingCudnn asks the dynamic loader for version 9, and says how to install it', async () => {
    const asked: string[] = [];
    const find = (found: boolean) => (name: string) => {
      asked.push(name);
      return Promise.resolve(found);
    };
    expect(await missingCudnn(find(true))).to.equal(undefined);
    const problem = await missingCudnn(find(false));
    expect(problem!.reason).to.match(/^cuDNN 9 is not found, and convolutions need it/);
    expect(problem!.remedy).to.match(/^install cuDNN 9 /);
    expect(asked).to.deep.equal(['libcudnn.so.9', 'libcudnn.so.9']);
  });

  it('loadsInChild finds a library of this process, and no library that does not exist', async function () {
    if (process.platform !== 'linux') this.skip();
    const musl = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
    const own = musl.header.glibcVersionRuntime === undefined ? 'libc.musl-x86_64.so.1' : 'libm.so.6';
    expect(await loadsInChild(own)).to.equal(true);
    expect(await loadsInChild('libno-such-thing.so.9')).to.equal(false);
  }).timeout(60_000);
});
