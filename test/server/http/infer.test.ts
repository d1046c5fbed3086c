import { expect } from 'chai';
import { describe, it } from 'mocha';
import { setTimeout } from 'node:timers/promises';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { bytesOf } from '../support.js';
import { Connection, exchange, type RawAnswer, requestBytes, serverOf, squareRequest } from './support.js';

const INFER = '/v2/models/square/infer';

/** A request for `square` in binary, of which JSON takes `length` bytes; and what is to come back. */
function binaryRequest(data: Float32Array, id = ''): { body: Buffer; jsonLength: number } {
  const json = JSON.stringify({
    id,
    inputs: [
      {
        name: 'x',
        shape: [data.length / 4, 4],
        datatype: 'FP32',
        parameters: { binary_data_size: data.byteLength },
      },
    ],
    parameters: { binary_data_output: true },
  });
  return { body: Buffer.concat([Buffer.from(json), bytesOf(data)]), jsonLength: Buffer.byteLength(json) };
}

function binaryAnswer({ headers, body }: RawAnswer): {
  json: { id: string; outputs: object[] };
  data: Float32Array;
} {
  const length = Number(headers['inference-header-content-length']);
  const bytes = Uint8Array.from(body.subarray(length));
  return {
    json: JSON.parse(body.subarray(0, length).toString()) as { id: string; outputs: object[] },
    data: new Float32Array(bytes.buffer),
  };
}

const values = (json: { outputs: { data: unknown[] }[] }): unknown[] => json.outputs[0]!.data;

describe('inference over HTTP', () => {
  const { get, infer, port, server } = serverOf(
    ['square', 'sum', 'copy-int64', 'copy-bool', 'copy-text', 'copy-float16', 'copy-uint8', 'copy-float64'],
    { serving: { maxBatchSize: 8, maxQueueDelay: 2 }, maxBody: 2 ** 20 },
  );
  const failures = () => server().models.get('square').statistics.failures;
  const ask = (headers: Record<string, string | number>, body: Uint8Array | string) =>
    exchange(port(), requestBytes(INFER, { 'Content-Length': Buffer.byteLength(body), ...headers }, body));

  it('inference answers every datatype in JSON, and keeps its values', async () => {
    const cases: [model: string, datatype: string, data: string][] = [
      ['copy-int64', 'INT64', '[9007199254740993,-9223372036854775808]'],
      ['copy-uint8', 'UINT8', '[0,255]'],
      ['copy-bool', 'BOOL', '[true,false]'],
      ['copy-text', 'BYTES', '["ä€𝄞",""]'],
      ['copy-float64', 'FP64', '[0.1,-1e-310]'],
    ];
    for (const [model, datatype, data] of cases) {
      const body = `{"inputs":[{"name":"x","shape":[1,2],"datatype":"${datatype}","data":${data}}]}`;
      const answer = await get(`/v2/models/${model}/infer`, { method: 'POST', body });
      expect(await answer.text(), datatype).to.include(
        `"datatype":"${datatype}","shape":[1,2],"data":${data}`,
      );
    }
    const half = { name: 'x', shape: [1, 2], datatype: 'FP16', parameters: { binary_data_size: 4 } };
    const json = JSON.stringify({ inputs: [half] });
    const halfAs = (output: boolean) =>
      infer(
        'copy-float16',
        Buffer.concat([
          Buffer.from(
            json.replace('[{', `[{`).replace(']}', `],"parameters":{"binary_data_output":${output}}}`),
          ),
          Buffer.from([0, 60, 0, 64]),
        ]),
        {
          'inference-header-content-length': String(
            json.replace(']}', `],"parameters":{"binary_data_output":${output}}}`).length,
          ),
        },
      );
    expect((await halfAs(false)).json.error)
      .to.include('FP16')
      .and.include('binary');
  });

  it('inference echoes id and X-Request-Id, with any letters', async () => {
    const { json } = await infer('square', squareRequest([1, 2, 3, 4], { id: 'ü€𝄞"\\' }));
    expect(json).to.include({ id: 'ü€𝄞"\\', model_name: 'square', model_version: '1' });
    expect((await infer('square', squareRequest([1, 2, 3, 4]))).json).not.to.have.property('id');
    const body = JSON.stringify(squareRequest([1, 2, 3, 4]));
    expect((await ask({ 'X-Request-Id': 'r-\u00fc 1' }, body)).headers['x-request-id']).to.equal(
      'r-\u00fc 1',
    );
    expect((await ask({}, body)).headers['x-request-id']).to.match(/^[0-9a-f-]{36}$/);
  });

  it('inference does not look at the media type', async () => {
    const body = JSON.stringify(squareRequest([1, 2, 3, 4]));
    for (const type of [
      undefined,
      'application/json',
      'application/x-www-form-urlencoded',
      'text/plain; charset=latin1',
      ';;;',
      'multipart/form-data',
      'nonsense',
    ])
      expect((await ask(type === undefined ? {} : { 'Content-Type': type }, body)).status, type).to.equal(
        200,
      );
  });

  it('inference reads binary tensors at every offset of the body, and its answer has the right lengths', async () => {
    const data = Float32Array.of(1, -2, 0.1, NaN, Infinity, 3, 4, 5);
    for (let offset = 0; offset < 8; offset++) {
      const { body, jsonLength } = binaryRequest(data, 'ü'.repeat(offset) + 'i'.repeat(offset % 2));
      const answer = await ask({ 'Inference-Header-Content-Length': jsonLength }, body);
      expect(answer.status, answer.body.toString()).to.equal(200);
      expect(answer.headers['content-type']).to.equal('application/octet-stream');
      const { json, data: found } = binaryAnswer(answer);
      expect(found).to.deep.equal(data.map((value) => value * value));
      expect(json.outputs).to.deep.equal([
        { name: 'y', datatype: 'FP32', shape: [2, 4], parameters: { binary_data_size: 32 } },
      ]);
    }
  });

  it('inference takes a raw tensor with the header length 0', async () => {
    const answer = await ask({ 'Inference-Header-Content-Length': 0 }, bytesOf(Float32Array.of(1, 2, 3, 4)));
    expect(binaryAnswer(answer).data).to.deep.equal(Float32Array.of(1, 4, 9, 16));
  });

  it('inference takes chunked bodies, pieces of any size, and Expect: 100-continue', async () => {
    const body = Buffer.from(JSON.stringify(squareRequest([1, 2, 3, 4])));
    const chunk = (part: Buffer) =>
      Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]);
    const head = requestBytes(INFER, { 'Transfer-Encoding': 'chunked' });
    const chunked = await exchange(
      port(),
      head,
      chunk(body.subarray(0, 10)),
      chunk(body.subarray(10)),
      '0\r\n\r\n',
    );
    expect(chunked.body.toString()).to.include('"data":[1,4,9,16]');
    const whole = requestBytes(INFER, { 'Content-Length': body.length }, body);
    const pieces = Array.from({ length: 8 }, (_, i) =>
      whole.subarray((whole.length * i) / 8, (whole.length * (i + 1)) / 8),
    );
    expect((await exchange(port(), ...pieces)).status).to.equal(200);

    const connection = new Connection(port());
    await connection.write(requestBytes(INFER, { 'Content-Length': body.length, Expect: '100-continue' }));
    expect((await connection.answer()).status).to.equal(100);
    await connection.write(body);
    expect((await connection.answer()).status).to.equal(200);
    connection.socket.destroy();
    const other = await exchange(port(), requestBytes(INFER, { 'Content-Length': 1, Expect: 'x' }));
    expect(other.status).to.equal(417);
    const old = `POST ${INFER} HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`;
    expect((await exchange(port(), old, body)).status, 'HTTP/1.0 has no 100').to.equal(200);
  });

  it('inference answers pipelined requests in their order', async () => {
    const connection = new Connection(port());
    const requests = [1, 2, 3].map((value) => {
      const body = JSON.stringify(squareRequest([value, 0, 0, 0], { id: String(value) }));
      return requestBytes(INFER, { 'Content-Length': body.length }, body);
    });
    await connection.write(Buffer.concat([...requests, requestBytes('/v2/health/live', {}, '', 'GET')]));
    for (const value of [1, 2, 3]) {
      expect(JSON.parse((await connection.answer()).body.toString())).to.have.property('id', String(value));
    }
    expect((await connection.answer()).body.toString()).to.equal('{"live":true}');
    connection.socket.destroy();
  });

  it('inference unpacks gzip and deflate, and packs its answer as the client prefers', async () => {
    const body = Buffer.from(JSON.stringify(squareRequest([1, 2, 3, 4])));
    expect((await ask({ 'Content-Encoding': 'gzip' }, gzipSync(body))).body.toString()).to.include(
      '[1,4,9,16]',
    );
    expect((await ask({ 'Content-Encoding': 'deflate' }, deflateSync(body))).body.toString()).to.include(
      '[1,4,9,16]',
    );
    const accepted: [string, string | undefined][] = [
      ['gzip', 'gzip'],
      ['deflate', 'deflate'],
      ['gzip, deflate', 'gzip'],
      ['gzip;q=0.5, deflate;q=0.8', 'deflate'],
      ['br', undefined],
      ['identity', undefined],
      ['gzip;q=0', undefined],
      ['*', 'gzip'],
      ['gzip;q=0.1, identity', undefined],
      ['*;q=0', undefined],
      ['GZIP', 'gzip'],
      ['', undefined],
      ['gzip;q=x', undefined],
    ];
    for (const [accept, coding] of accepted) {
      const answer = await ask({ 'Accept-Encoding': accept }, body);
      expect(answer.headers['content-encoding'], accept).to.equal(coding);
      const plain =
        coding === 'gzip'
          ? gunzipSync(answer.body)
          : coding === 'deflate'
            ? inflateSync(answer.body)
            : answer.body;
      expect(plain.toString()).to.include('[1,4,9,16]');
    }
    const { body: binary, jsonLength } = binaryRequest(Float32Array.of(1, 2, 3, 4));
    const both = await ask(
      {
        'Content-Encoding': 'gzip',
        'Accept-Encoding': 'gzip',
        'Inference-Header-Content-Length': jsonLength,
      },
      gzipSync(binary),
    );
    expect(binaryAnswer({ ...both, body: gunzipSync(both.body) }).data).to.deep.equal(
      Float32Array.of(1, 4, 9, 16),
    );
    const failed = await ask({ 'Accept-Encoding': 'gzip' }, '{');
    expect(failed.headers).not.to.have.property('content-encoding');
    expect(JSON.parse(failed.body.toString())).to.have.property('error');
  });

  it('inference refuses packed bodies that are corrupt, cut, too long, or packed otherwise', async () => {
    const body = Buffer.from(JSON.stringify(squareRequest([1, 2, 3, 4])));
    const packed = gzipSync(body);
    const cases: [status: number, coding: string, body: Buffer][] = [
      [400, 'gzip', body],
      [400, 'gzip', packed.subarray(0, 20)],
      [400, 'gzip', packed.subarray(0, -8)],
      [400, 'gzip', Buffer.concat([packed, Buffer.from('rest')])],
      [400, 'gzip', Buffer.alloc(0)],
      [400, 'deflate', packed],
      [400, 'deflate', deflateSync(body).subarray(0, -4)],
      [415, 'br', body],
      [415, 'gzip, gzip', packed],
      [415, 'zstd', body],
    ];
    for (const [status, coding, bytes] of cases) {
      const answer = await ask({ 'Content-Encoding': coding }, bytes);
      expect(answer.status, `${coding} ${bytes.length}`).to.equal(status);
      expect(answer.headers['accept-encoding']).to.equal(status === 415 ? 'gzip, deflate' : undefined);
      expect(JSON.parse(answer.body.toString())).to.have.property('error');
    }
    const bomb = gzipSync(Buffer.alloc(200 * 2 ** 20, ' '));
    const before = process.memoryUsage().rss;
    expect((await ask({ 'Content-Encoding': 'gzip' }, bomb)).status).to.equal(413);
    expect(process.memoryUsage().rss - before).to.be.below(64 * 2 ** 20);
  });

  it('inference refuses a body above the limit at once, whether or not the client sends it', async () => {
    for (const length of [2 ** 20 + 1, 2 ** 40, 1e15]) {
      const answer = await exchange(port(), requestBytes(INFER, { 'Content-Length': length }));
      expect(answer.status).to.equal(413);
      expect(JSON.parse(answer.body.toString())).to.have.property('error').that.includes('1048576');
      const expecting = await exchange(
        port(),
        requestBytes(INFER, { 'Content-Length': length, Expect: '100-continue' }),
      );
      expect(expecting.status).to.equal(413);
    }
    const large = Buffer.alloc(3 * 2 ** 20, 32);
    expect((await ask({}, large)).status).to.equal(413);
    const connection = new Connection(port());
    await connection.write(
      requestBytes(INFER, { 'Transfer-Encoding': 'chunked' }),
      `${large.length.toString(16)}\r\n`,
      large,
    );
    expect((await connection.answer()).status).to.equal(413);
    connection.socket.destroy();
  });

  it('64 requests at once, of differing batch sizes, each get their own answer', async () => {
    const requests = Array.from({ length: 64 }, async (_, i) => {
      const data = Array.from({ length: 4 * (1 + (i % 5)) }, (_, k) => i + k / 8);
      const { json } = await infer('square', squareRequest(data, { id: String(i) }));
      expect(json.id).to.equal(String(i));
      expect(values(json)).to.deep.equal(data.map((value) => Math.fround(value * value)));
    });
    await Promise.all(requests);
  });

  it('a request with NaN does not touch the requests in its batch', async () => {
    const nan = Float32Array.of(NaN, NaN, NaN, NaN);
    const { body, jsonLength } = binaryRequest(nan);
    const answers = await Promise.all([
      infer('square', squareRequest([1, 2, 3, 4])),
      ask({ 'Inference-Header-Content-Length': jsonLength }, body),
      infer('square', squareRequest([5, 6, 7, 8])),
    ]);
    expect(values(answers[0].json)).to.deep.equal([1, 4, 9, 16]);
    expect(binaryAnswer(answers[1]).data).to.deep.equal(nan);
    expect(values(answers[2].json)).to.deep.equal([25, 36, 49, 64]);
    const { status, json } = await infer('square', squareRequest([1e30, 0, 0, 0]));
    expect(status).to.equal(400);
    expect(json.error).to.include('Infinity').and.include('binary');
  });

  it('a wrong request fails alone, though others would join it', async () => {
    const wrong = { inputs: [{ name: 'x', shape: [1, 5], datatype: 'FP32', data: [1, 2, 3, 4, 5] }] };
    const answers = await Promise.all([infer('square', wrong), infer('square', squareRequest([1, 2, 3, 4]))]);
    expect(answers.map(({ status }) => status)).to.deep.equal([400, 200]);
    const uneven = {
      inputs: ['a', 'b'].map((name, i) => ({
        name,
        shape: [i + 1, 2],
        datatype: 'FP32',
        data: Array(2 * i + 2).fill(0),
      })),
    };
    expect((await infer('sum', uneven)).status).to.equal(400);
  });

  it('a client that goes in the middle of a body does not disturb the server', async () => {
    for (const pieces of [['{"inputs"'], [], ['x'.repeat(1000)]]) {
      const connection = new Connection(port());
      await connection.write(requestBytes(INFER, { 'Content-Length': 5000 }), ...pieces);
      await setTimeout(5);
      connection.socket.destroy();
    }
    const before = failures();
    await exchange(port(), requestBytes(INFER, { 'Transfer-Encoding': 'chunked' }, 'no chunk\r\n'));
    while (failures().other === before.other) await setTimeout(5);
    expect(failures().backend, 'the model has not failed').to.equal(0);
    expect((await infer('square', squareRequest([1, 2, 3, 4]))).status).to.equal(200);
  });
});
