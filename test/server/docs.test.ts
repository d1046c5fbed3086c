import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { encodeModel, getGraph, initializeWeights } from '../../lib/index.js';
import { temporaryFolder } from '../support/temporary.js';

const PAGE = readFileSync(new URL('../../docs/serving.md', import.meta.url), 'utf8');
/** Where the page's imports lead in this repository. */
const MODULES: Readonly<Record<string, string>> = {
  fastify: import.meta.resolve('fastify'),
  'onnx-groupnorm': new URL('../../lib/index.ts', import.meta.url).href,
  'onnx-groupnorm/server': new URL('../../lib/server/index.ts', import.meta.url).href,
};

describe('docs/serving.md', function () {
  this.timeout(30_000);
  const path = temporaryFolder();

  it("docs/serving.md's own server runs, and answers", async () => {
    const [, code = ''] = /```js\n(\/\/ server\.mjs[^]*?)```/.exec(PAGE) ?? [];
    const graph = getGraph('group-norm').build({ numGroups: 8, numChannels: 32 });
    await writeFile(path('gn.onnx'), encodeModel(graph, initializeWeights(graph)));
    const program = code
      .replace(/from '([^']+)'/g, (_, name: string) => `from '${MODULES[name]}'`)
      .replace('port: 8081', 'port: 0');
    await writeFile(path('server.mjs'), program);
    const server = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), path('server.mjs')], {
      cwd: path(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [url] = (await once(server.stdout, 'data')) as [Buffer];
      const answer = await fetch(`${url.toString().trim()}/segment`, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        body: new Uint8Array(Float32Array.from({ length: 2048 }, (_, i) => i % 7).buffer),
      });
      const y = new Float32Array(await answer.arrayBuffer());
      expect(y).to.have.length(2048);
      const sum = y.reduce((total, value) => total + value, 0);
      expect(Math.abs(sum / 2048)).to.be.below(1e-6);
    } finally {
      server.kill();
    }
  });
});
