import { expect } from 'chai';
import { describe, it } from 'mocha';
import { setTimeout } from 'node:timers/promises';
import { createServer } from '../../../lib/server/index.js';
import { bytesOf } from '../support.js';
import { Connection, exchange, requestBytes, serverOf, squareRequest } from './support.js';

const SQUARE = JSON.stringify(squareRequest([1, 2, 3, 4]));
const HALF = requestBytes('/v2/models/square/infer', { 'Content-Length': 1000 }, SQUARE.slice(0, 20));
const HEAVY = bytesOf(new Float32Array(768 * 768).fill(1 / 768));

describe('a server under load', () => {
  const { get, infer, port, server } = serverOf(['square', 'heavy'], {
    serving: { maxQueueSize: 2 },
    requestTimeout: 500,
    maxBodyMemory: 2 ** 24,
  });
  /** A request for `heavy`, as a raw tensor. */
  const heavy = () =>
    get('/v2/models/heavy/infer', {
      method: 'POST',
      headers: { 'inference-header-content-length': '0' },
      body: HEAVY,
    });
  const heavyStatistics = () => server().models.get('heavy').statistics;
  const running = async () => {
    while (server().models.get('heavy').pending === 0) await setTimeout(2);
  };

  it('a server with a full queue answers 503 with Retry-After, and is alive all the while', async () => {
    const answers = Array.from({ length: 5 }, heavy);
    await running();
    const begin = performance.now();
    expect((await get('/v2/health/live')).status).to.equal(200);
    expect(performance.now() - begin).to.be.below(1000);
    const late = await infer('heavy', { inputs: [] });
    expect(late.status).to.equal(400);
    const all = await Promise.all(answers);
    const refused = all.filter(({ status }) => status === 503);
    expect(all.map(({ status }) => status).sort()).to.deep.equal([200, 200, 200, 503, 503]);
    for (const answer of refused) {
      expect(Number(answer.headers.get('retry-after'))).to.be.at.least(1);
      expect(await answer.json())
        .to.have.property('error')
        .that.includes('wait already');
    }
    expect(heavyStatistics().failures.rejected).to.equal(2);
  });

  it('a request that waits longer than its timeout is answered while the model still runs', async () => {
    const first = heavy();
    const second = heavy();
    await running();
    const json = JSON.stringify({
      inputs: [
        { name: 'x', shape: [768, 768], datatype: 'FP32', parameters: { binary_data_size: HEAVY.length } },
      ],
      parameters: { timeout: 1000 },
    });
    const late = await infer('heavy', Buffer.concat([Buffer.from(json), HEAVY]), {
      'inference-header-content-length': String(json.length),
    });
    expect(late.status).to.equal(503);
    expect(late.json.error).to.include('waited');
    expect(late.headers.get('retry-after')).to.equal('1');
    expect((await Promise.all([first, second])).map(({ status }) => status)).to.deep.equal([200, 200]);
  });

  it('a request whose client has gone does not run', async () => {
    const { executionCount } = heavyStatistics();
    const first = heavy();
    while (server().models.get('heavy').statistics.executionCount > executionCount) await setTimeout(2);
    const gone = new Connection(port());
    await gone.write(
      requestBytes(
        '/v2/models/heavy/infer',
        { 'Content-Length': HEAVY.length, 'Inference-Header-Content-Length': 0 },
        HEAVY,
      ),
    );
    await running();
    gone.socket.destroy();
    while (heavyStatistics().failures.canceled === 0) await setTimeout(5);
    expect((await first).status).to.equal(200);
    expect(heavyStatistics().executionCount).to.equal(executionCount + 1);
  });

  it('a model that is unloaded under load answers every request that it has taken', async () => {
    const outcomes: number[] = [];
    let isOver = false;
    const clients = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        const { status, json } = await infer('square', SQUARE);
        outcomes.push(status);
        if (status === 200) expect(json.outputs[0]!.data).to.deep.equal([1, 4, 9, 16]);
        else expect(json.error).to.be.a('string');
      }
    });
    for (let i = 0; i < 3; i++) {
      await setTimeout(20);
      await server().models.unload('square');
      await setTimeout(20);
      await server().models.load('square');
    }
    isOver = true;
    await Promise.all(clients);
    expect(new Set(outcomes)).to.deep.equal(new Set([200, 503]));
  });

  it('a client that stalls in a request gets 408, and others do not notice', async () => {
    const connection = await new Connection(port()).write(HALF);
    const answer = await connection.answer();
    expect(answer.status).to.equal(408);
    expect(JSON.parse(answer.body.toString())).to.have.property('error');
    await connection.closed();
  });

  it('a server that holds as many bodies as its memory allows answers 503', async () => {
    const stalled = Array.from({ length: 3 }, () =>
      new Connection(port()).write(
        requestBytes('/v2/models/square/infer', { 'Content-Length': 2 ** 23 }, Buffer.alloc(2 ** 23 - 1)),
      ),
    );
    const connections = await Promise.all(stalled);
    const statuses = await Promise.all(
      connections.map(async (connection) => (await connection.answer()).status),
    );
    expect(statuses.sort()).to.deep.equal([408, 408, 503]);
    // The server gives the memory back when it sees that the connections have ended.
    while ((await infer('square', SQUARE)).status !== 200) await setTimeout(20);
  });
});

describe('the end of a server', () => {
  const { folder } = serverOf(['square']);
  const started = async () => {
    const server = createServer({ model: folder(), port: 0 });
    const url = await server.listen();
    await server.loaded();
    return { server, url, port: Number(new URL(url).port) };
  };

  it('a server that ends serves on for its delay, says that it is not ready, and closes each connection', async () => {
    const { server, port } = await started();
    const idle = await new Connection(port).write(requestBytes('/v2/health/ready', {}, '', 'GET'));
    expect((await idle.answer()).headers).to.include({ connection: 'keep-alive' });
    const closing = server.close({ delay: 300 });
    const get = (path: string) => exchange(port, requestBytes(path, {}, '', 'GET'));
    expect(await get('/v2/health/ready')).to.include({ status: 503 });
    expect(await get('/v2/health/live')).to.include({ status: 200 });
    await idle.write(requestBytes('/v2/models/square/infer', { 'Content-Length': SQUARE.length }, SQUARE));
    const last = await idle.answer();
    expect(last.status).to.equal(200);
    expect(last.headers).to.include({ connection: 'close' });
    await idle.closed();
    await closing;
    let refusal: unknown;
    await get('/v2').catch((error: unknown) => (refusal = error));
    expect(refusal).to.be.instanceOf(Error);
  });

  it('a server that ends answers a request whose body is still coming, and cuts clients that stall', async () => {
    const { server, port } = await started();
    const slow = await new Connection(port).write(
      requestBytes('/v2/models/square/infer', { 'Content-Length': SQUARE.length }, SQUARE.slice(0, 9)),
    );
    const stalled = await new Connection(port).write(HALF);
    await setTimeout(30);
    const begin = performance.now();
    const closing = server.close({ timeout: 600 });
    await setTimeout(100);
    await slow.write(SQUARE.slice(9));
    expect((await slow.answer()).body.toString()).to.include('[1,4,9,16]');
    await closing;
    await stalled.closed();
    expect(performance.now() - begin).to.be.below(5000);
  });
});
