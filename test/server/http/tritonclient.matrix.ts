import { expect } from 'chai';
import { describe, it } from 'mocha';
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { serverOf } from './support.js';

const CHECKS = fileURLToPath(new URL('../../../scripts/checks/check_tritonclient.py', import.meta.url));
const PYTHON = process.env['PYTHON'] ?? 'python3';
const hasClient = spawnSync(PYTHON, ['-c', 'import tritonclient.http, tritonclient.http.aio']).status === 0;

describe('tritonclient', function () {
  this.timeout(120_000);
  const { port } = serverOf(
    ['square', 'copy-int64', 'copy-uint8', 'copy-bool', 'copy-float64', 'copy-float16', 'copy-text'],
    { serving: { maxBatchSize: 8, maxQueueDelay: 1 } },
  );

  it(`tritonclient, NVIDIA's own client, gets what it asks for (${PYTHON} needs tritonclient[http])`, async function () {
    if (!hasClient) this.skip();
    const { stdout } = await promisify(execFile)(PYTHON, [CHECKS, `127.0.0.1:${port()}`]);
    expect(stdout.trim().split('\n')).to.include.members([
      'forms',
      'datatypes',
      'concurrent',
      'asynchronous',
    ]);
  });
});
