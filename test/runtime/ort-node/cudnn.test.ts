import { expect } from 'chai';
import { describe, it } from 'mocha';
import { loadsElsewhere, missingCudnn } from '../../../lib/runtime/ort-node/cuda.js';

describe('runtime/cudnn', () => {
  it('is missing where the dynamic loader does not find version 9, and comes with the way to get it', async () => {
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

  it('a library is found that this process uses itself, and one that nobody has is not', async function () {
    if (process.platform !== 'linux') this.skip();
    const musl = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
    const own = musl.header.glibcVersionRuntime === undefined ? 'libc.musl-x86_64.so.1' : 'libm.so.6';
    expect(await loadsElsewhere(own)).to.equal(true);
    expect(await loadsElsewhere('libno-such-thing.so.9')).to.equal(false);
  }).timeout(60_000);
});
