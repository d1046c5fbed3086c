import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { MODELS, squareRequest } from '../../../server/http/support.js';
import type { LogLine } from '../../../../lib/cli/commands/serve/process.js';
import { schemaErrors } from '../../../support/json-schemas.js';
import { temporaryFolder } from '../../../support/temporary.js';
import { ARGUMENTS, endAll, Serving } from './serving.js';

const SQUARE = JSON.stringify(squareRequest([1, 2, 3, 4]));

const refused = async (...argv: string[]): Promise<{ code: number; stderr: string }> => {
  try {
    await promisify(execFile)(process.execPath, [...ARGUMENTS, ...argv], { timeout: 40_000 });
  } catch (error) {
    return error as { code: number; stderr: string };
  }
  throw new Error('serve ended with 0');
};

describe('serve', function () {
  // The processes start slowly where the machine has much else to do.
  this.timeout(180_000);
  const path = temporaryFolder();
  afterEach(endAll);
  const model = async (name: string) => {
    await mkdir(path('models'), { recursive: true });
    await writeFile(path('models', `${name}.onnx`), MODELS.square!());
  };

  it('serve prints the address, each model and a request that works, rereads at SIGHUP, and ends at once at a second signal', async () => {
    await model('square');
    const serving = new Serving(path('models'), '--max-batch-size', '4');
    await serving.printed('Try it:\n  curl');
    expect(serving.output).to.match(
      /square, version 1: on \w+; batches of up to 4 samples\n {2}x FP32 \[N, 4\] -> y FP32 \[N, 4\]/,
    );
    const example = /curl .*/.exec(serving.output)![0];
    const { stdout } = await promisify(execFile)('sh', ['-c', example]);
    expect(JSON.parse(stdout)).to.have.nested.property('outputs[0].data').that.deep.equals([0, 0, 0, 0]);

    await copyFile(path('models', 'square.onnx'), path('models', 'other.onnx'));
    await writeFile(path('models', 'broken.onnx'), 'no model');
    serving.process.kill('SIGHUP');
    await serving.printed('other, version 1');
    await serving.printed("model 'broken', version 1, is not served: ");
    serving.process.kill('SIGTERM');
    await serving.printed('SIGTERM');
    expect(await serving.end('SIGTERM')).to.equal(1);
  });

  it('serve loses no accepted request at SIGTERM, and exits with 0', async () => {
    await model('square');
    await writeFile(path('models', 'broken.onnx'), 'no model');
    const serving = new Serving(path('models'), '--drain-delay', '1', '--json-logs');
    await serving.printed('"state":"READY"');
    const { url } = serving;
    let answered = 0;
    let isOver = false;
    const answersAfter = async (count: number) => {
      while (answered < count + 8) await Promise.race([setTimeout(10), clientsEnd]);
    };
    // As load balancers do, the clients go on for a while after the signal.
    const clients = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const answer = await fetch(`${url}/v2/models/square/infer`, { method: 'POST', body: SQUARE });
        expect(answer.status).to.equal(200);
        expect(await answer.text()).to.include('[1,4,9,16]');
        answered++;
      }
    });
    const clientsEnd = Promise.all(clients);
    await answersAfter(0);
    const begin = performance.now();
    const exit = serving.end('SIGTERM');
    await serving.printed('SIGTERM');
    await answersAfter(answered);
    isOver = true;
    await clientsEnd;
    expect(await exit).to.equal(0);
    expect(performance.now() - begin).to.be.within(1000, 15_000);
    const lines = serving.output.trim().split('\n');
    for (const line of lines) expect(schemaErrors('serve-log', line), line).to.deep.equal([]);
    const events = lines.map((line) => (JSON.parse(line) as LogLine).msg);
    expect(events).to.include.members(['listening', 'model', 'the server has ended']);
    expect(serving.output).to.include('"state":"UNAVAILABLE"');
  });

  it('serve refuses what it cannot serve with one line and exit code 2', async () => {
    await model('square');
    await writeFile(path('broken.onnx'), 'no model');
    await writeFile(path('token'), '\n');
    const cases: [text: string, ...argv: string[]][] = [
      ['missing', path('missing')],
      ['no model can be served', path('broken.onnx')],
      ['the file of --token-file, holds no token', path('models'), '--token-file', path('token')],
      ['--drain-delay takes up to 10 seconds', path('models'), '--drain-delay', '60'],
    ];
    for (const [text, ...argv] of cases) {
      const { code, stderr } = await refused(...argv, '--port', '0');
      expect(code, stderr).to.equal(2);
      expect(stderr.trim().split('\n').at(-1), stderr).to.include(text);
      expect(stderr).not.to.include('    at ');
    }
  });

  it('serve reports a path without a model before a port that is in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const port = String((taken.address() as AddressInfo).port);
    try {
      await model('square');
      expect((await refused(path('models'), '--port', port)).stderr).to.include(`:${port}`);
      expect((await refused(path('missing'), '--port', port)).stderr)
        .to.include('missing')
        .and.not.include(port);
    } finally {
      taken.close();
    }
  });

  it('serve says once why it does not serve a damaged model', async () => {
    await writeFile(path('broken.onnx'), 'no model');
    const { stderr } = await refused(path('broken.onnx'), '--port', '0');
    const lines = stderr.trim().split('\n');
    expect(lines).to.have.length(2);
    expect(lines[0])
      .to.include("model 'broken', version 1, is not served")
      .and.to.include('not an ONNX model');
  });
});
