import { expect } from 'chai';
import { describe, it } from 'mocha';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { loadAddon } from '../../../lib/runtime/native/addon.js';
import { Connection, exchange, requestBytes, serverOf } from './support.js';

const INFER = '/v2/models/copy-uint8/infer';
/** More than the buffers of a socket take. */
const BYTES = 16 * 2 ** 20;
const DATA = Buffer.from(Uint8Array.from({ length: BYTES }, (_, i) => i % 251));

/** A request for so many bytes of data. */
function copyRequest(length: number, headers: Record<string, string> = {}): Buffer {
  const input = { name: 'x', shape: [length / 2, 2], datatype: 'UINT8' };
  const json = JSON.stringify({
    inputs: [{ ...input, parameters: { binary_data_size: length } }],
    parameters: { binary_data_output: true },
  });
  return requestBytes(
    INFER,
    { 'Content-Length': json.length + length, 'Inference-Header-Content-Length': json.length, ...headers },
    Buffer.concat([Buffer.from(json), DATA.subarray(0, length)]),
  );
}

/** Whether an answer has the header lengths and the bytes that a request for so many bytes gets. */
function expectCopy(body: Buffer, headers: Readonly<Record<string, string>>, length: number): void {
  const jsonLength = Number(headers['inference-header-content-length']);
  const json = JSON.parse(body.subarray(0, jsonLength).toString()) as { outputs: object[] };
  expect(json.outputs[0]).to.deep.include({ parameters: { binary_data_size: length } });
  expect(body.subarray(jsonLength).equals(DATA.subarray(0, length))).to.equal(true);
}

/** A client that has begun to read a large answer, and reads no further. */
async function stopped(port: number): Promise<Connection> {
  const connection = new Connection(port);
  const hasBegun = once(connection.socket, 'data').then(() => connection.socket.pause());
  await connection.write(copyRequest(BYTES));
  await hasBegun;
  return connection;
}

/** Bytes of the pool that are in use; `undefined` without the native kernel. */
const usedBytes = () => loadAddon().addon?.poolStatistics().usedBytes;
const memoryIsBack = async (): Promise<void> => {
  while ((usedBytes() ?? 0) >= BYTES) await setTimeout(10);
};

describe('large answers', () => {
  const { get, port, server } = serverOf(['copy-uint8', 'square']);
  const success = () => server().models.get('copy-uint8').statistics.success.count;

  it('the server sends answers around and above 64 KiB whole, with the right lengths, also on a connection that goes on', async () => {
    const connection = new Connection(port());
    const lengths = [2 ** 16 - 200, 2 ** 16, 2 ** 20 + 6];
    // All at once: the answers come one behind the other.
    await connection.write(Buffer.concat(lengths.map((length) => copyRequest(length))));
    for (const length of lengths) {
      const { status, headers, body } = await connection.answer();
      expect(status).to.equal(200);
      expect(headers).not.to.have.property('transfer-encoding');
      expectCopy(body, headers, length);
    }
    await connection.write(requestBytes('/v2/health/live', {}, '', 'GET'));
    expect((await connection.answer()).body.toString()).to.equal('{"live":true}');
    connection.socket.destroy();
  });

  it('a large answer is packed whole', async () => {
    const { headers, body } = await exchange(port(), copyRequest(2 ** 20, { 'Accept-Encoding': 'gzip' }));
    expect(Number(headers['content-length'])).to.equal(body.length);
    expectCopy(gunzipSync(body), headers, 2 ** 20);
  });

  it('the memory of a large answer is free again when its client leaves in the middle, and the server goes on', async () => {
    const before = success();
    const client = await stopped(port());
    expect(success()).to.equal(before + 1);
    if (usedBytes() !== undefined) expect(usedBytes()).to.be.at.least(BYTES);
    client.socket.destroy();
    await memoryIsBack();
    expect((await get('/v2/health/ready')).status).to.equal(200);
  });

  it('a large answer is whole, though its model is unloaded while it is sent', async () => {
    const client = await stopped(port());
    await server().models.unload('copy-uint8');
    client.socket.resume();
    const { headers, body } = await client.answer();
    expectCopy(body, headers, BYTES);
    client.socket.destroy();
    await server().models.load('copy-uint8');
  });

  it('a body has memory only once a part of it has come, and gives it back when its client leaves in the middle', async () => {
    const request = copyRequest(BYTES);
    const connection = await new Connection(port()).write(request.subarray(0, 2 ** 17));
    await get('/v2/health/live');
    if (usedBytes() !== undefined) expect(usedBytes(), 'a claim takes no memory').to.be.below(BYTES);
    await connection.write(request.subarray(2 ** 17, BYTES / 2));
    if (usedBytes() !== undefined) while (usedBytes()! < BYTES) await setTimeout(5);
    connection.socket.destroy();
    await memoryIsBack();
  });

  it('the memory of a request that is refused is free again', async () => {
    const body = Buffer.alloc(BYTES);
    const answer = await exchange(
      port(),
      requestBytes('/v2/models/square/infer', { 'Content-Length': BYTES }, body),
    );
    expect(answer.status).to.equal(400);
    if (usedBytes() !== undefined) expect(usedBytes()).to.be.below(BYTES);
  });
});

describe('a client that stops to read', () => {
  const { port } = serverOf(['copy-uint8'], { requestTimeout: 500 });

  it('the memory of a large answer is free again when its client has stopped to read it for the time of a request', async () => {
    await stopped(port());
    await memoryIsBack();
  });
});
