import { expect } from 'chai';
import { before, it } from 'mocha';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Collections } from '../../support/count-collections.js';
import { describeNative } from '../../support/native.js';

const PROGRAM = fileURLToPath(new URL('../../support/count-collections.ts', import.meta.url));

async function countCollections(held: number, env: NodeJS.ProcessEnv = {}): Promise<Collections> {
  const args = ['--import', 'tsx', PROGRAM, String(held)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...env } });
  return JSON.parse(stdout) as Collections;
}

describeNative('results', function () {
  this.timeout(60_000);
  let dropped: Collections;
  let held: Collections;

  before(async () => {
    dropped = await countCollections(0);
    held = await countCollections(8);
  });

  it('that nobody holds are let go of with fewer collections of everything', () => {
    expect(dropped.all).to.be.below(held.all / 2);
  });

  it('that are held are left to V8, which would take them for old if it were asked', () => {
    expect(held.young).to.be.below(dropped.young / 2);
  });

  it('are left to V8 where ONNX_GROUPNORM_GC=off asks for it', async () => {
    const { young } = await countCollections(0, { ONNX_GROUPNORM_GC: 'off' });
    expect(young).to.be.below(dropped.young / 2);
  });

  it('leave V8’s collector out of the reach of others', () => {
    expect(dropped.typeOfCollector).to.equal('undefined');
  });
});
