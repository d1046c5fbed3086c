/** A client that never sends the rest of its request. It is here because the end of `serve` takes 13 seconds with it. */
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { writeFile } from 'node:fs/promises';
import { Connection, MODELS, requestBytes } from '../../../server/http/support.js';
import { temporaryFolder } from '../../../support/temporary.js';
import { endAll, Serving } from './serving.js';

describe('serve with a half-sent request', function () {
  this.timeout(180_000);
  const path = temporaryFolder();
  afterEach(endAll);

  it('serve cuts a half-sent request at SIGTERM, and exits with 0 within 15 seconds', async () => {
    await writeFile(path('square.onnx'), MODELS.square!());
    const serving = new Serving(path('square.onnx'), '--drain-delay', '3', '--json-logs');
    await serving.printed('"state":"READY"');
    const half = requestBytes('/v2/models/square/infer', { 'Content-Length': 1000 }, '{');
    const stalled = await new Connection(Number(new URL(serving.url).port)).write(half);
    const begin = performance.now();
    const exit = serving.end('SIGTERM');
    await serving.printed('SIGTERM');
    expect(await exit).to.equal(0);
    expect(performance.now() - begin).to.be.within(3000, 15_000);
    await stalled.closed();
  });
});
