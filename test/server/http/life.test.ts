import { expect } from 'chai';
import { describe, it } from 'mocha';
import { setTimeout } from 'node:timers/promises';
import { createServer } from '../../../lib/server/index.js';
import { Connection, exchange, requestBytes, serverOf, squareRequest } from './support.js';

const SQUARE = JSON.stringify(squareRequest([1, 2, 3, 4]));
const HALF = requestBytes('/v2/models/square/infer', { 'Content-Length': 1000 }, SQUARE.slice(0, 20));
const HEAVY = { inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [0] }] };

describe('a server under load', function () {
  this.timeout(120_000);
  const { get, infer, port, server } = serverOf(['square', 'heavy'], {
    serving: { maxQueueSize: 2 },
    requestTimeout: 500,
    maxBodyMemory: 2 ** 20,
  });
  const heavy = () => infer('heavy', HEAVY);
  const heavyStatistics = () => server().models.get('heavy').statistics;
  /** Waits until so many requests wait for a run. */
  const pending = async (count: number) => {
    while (server().models.get('heavy').pending < count) await setTimeout(2);
  };

  it('a server with a full queue answers 503 with Retry-After, and is alive all the while', async () => {
    const answers = Array.from({ length: 5 }, heavy);
    await pending(1);
    expect((await get('/v2/health/live')).status).to.equal(200);
    expect(heavyStatistics().success.count, 'the probe waits for no run').to.equal(0);
    const late = await infer('heavy', { inputs: [] });
    expect(late.status).to.equal(400);
    const all = await Promise.all(answers);
    const refused = all.filter(({ status }) => status === 503);
    expect(all.map(({ status }) => status).sort()).to.deep.equal([200, 200, 200, 503, 503]);
    for (const answer of refused) {
      expect(Number(answer.headers.get('retry-after'))).to.be.at.least(1);
      expect(answer.json.error).to.include('wait already');
    }
    expect(heavyStatistics().failures.rejected).to.equal(2);
  });

  it('a request that waits longer than its timeout is answered while the model still runs', async () => {
    const first = heavy();
    const second = heavy();
    await pending(1);
    const late = await infer('heavy', { ...HEAVY, parameters: { timeout: 1000 } });
    expect(late.status).to.equal(503);
    expect(late.json.error).to.include('waited');
    expect(late.headers.get('retry-after')).to.equal('1');
    expect((await Promise.all([first, second])).map(({ status }) => status)).to.deep.equal([200, 200]);
  });

  it('a request whose client has gone does not run', async () => {
    const { executionCount } = heavyStatistics();
    const others = [heavy(), heavy()];
    await pending(1);
    const gone = new Connection(port());
    const body = JSON.stringify(HEAVY);
    await gone.write(requestBytes('/v2/models/heavy/infer', { 'Content-Length': body.length }, body));
    await pending(2);
    gone.socket.destroy();
    while (heavyStatistics().failures.canceled === 0) await setTimeout(5);
    expect((await Promise.all(others)).map(({ status }) => status)).to.deep.equal([200, 200]);
    expect(heavyStatistics().executionCount).to.equal(executionCount + 2);
  });

  it('a model that is unloaded under load answers every request that it has taken', async () => {
    let isOver = false;
    const seen = { 200: 0, 503: 0 };
    const clients = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const { status, json } = await infer('square', SQUARE);
        expect(status).to.be.oneOf([200, 503]);
        if (status === 200) expect(json.outputs[0]!.data).to.deep.equal([1, 4, 9, 16]);
        else expect(json.error).to.be.a('string');
        seen[status as 200 | 503]++;
      }
    });
    const allEnd = Promise.all(clients);
    const more = async (status: 200 | 503) => {
      const enough = seen[status] + 4;
      // The first client that fails ends the test.
      while (seen[status] < enough) await Promise.race([setTimeout(2), allEnd]);
    };
    for (let i = 0; i < 3; i++) {
      await more(200);
      await server().models.unload('square');
      await more(503);
      await server().models.load('square');
    }
    isOver = true;
    await allEnd;
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
        requestBytes('/v2/models/square/infer', { 'Content-Length': 2 ** 19 }, Buffer.alloc(2 ** 19 - 1)),
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

describe('the end of a server', function () {
  this.timeout(120_000);
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
    const closing = server.close({ delay: 1000 });
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
    const closing = server.close({ timeout: 1500 });
    await slow.write(SQUARE.slice(9));
    expect((await slow.answer()).body.toString()).to.include('[1,4,9,16]');
    await closing;
    await stalled.closed();
  });
});
