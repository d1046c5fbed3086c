import { expect } from 'chai';
import { describe, it } from 'mocha';
import { exchange, requestBytes, serverOf, squareRequest } from './support.js';

const INFER = '/v2/models/square/infer';

interface Malformed {
  readonly what: string;
  readonly bytes: Buffer;
}

const post = (
  what: string,
  body: string | Uint8Array,
  headers: Record<string, string | number> = {},
): Malformed => ({
  what,
  bytes: requestBytes(INFER, { 'Content-Length': Buffer.byteLength(body), ...headers }, body),
});

const input = (changes: object): string =>
  JSON.stringify({
    inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4], ...changes }],
  });
const whole = (changes: object): string => JSON.stringify({ ...squareRequest([1, 2, 3, 4]), ...changes });
const withText = (member: string, text: string): string => input({ [member]: '@' }).replace('"@"', text);

/** Values that hardly any member takes. */
const ODD = ['null', 'true', '-1', '1.5', '1e400', '"x"', '[]', '{}', '[null]', '[[1]]', '{"a":1}'];

/** Bodies that are not JSON, or not a request. */
function* bodies(): Generator<Malformed> {
  const valid = whole({});
  for (let length = 0; length < valid.length; length += 4)
    yield post(`cut at ${length}`, valid.slice(0, length));
  for (const body of [
    '[]',
    'null',
    '1',
    '"x"',
    '{}',
    'NaN',
    '\0',
    '{"inputs":[]}',
    `${valid}x`,
    `${valid}${valid}`,
    `${valid},`,
    valid.replaceAll('"', "'"),
    valid.replace(',', ',,'),
    valid.replace(':', ':,'),
    `\ufeff${valid}`,
    `/**/${valid}`,
  ])
    yield post(`body ${body.slice(0, 20)}`, body);
  yield post('invalid UTF-8', Buffer.from([...Buffer.from('{"id":"'), 0xff, ...Buffer.from('"}')]));
  yield post(
    'half of a surrogate in UTF-8',
    Buffer.from([...Buffer.from('{"id":"'), 0xed, 0xa0, 0x80, ...Buffer.from('"}')]),
  );
  for (const text of ODD) {
    for (const member of ['name', 'datatype', 'shape', 'data', 'parameters']) {
      const isRight =
        (member === 'parameters' && text.startsWith('{')) || (member === 'name' && text === '"x"');
      if (isRight) continue;
      yield post(`${member} ${text}`, withText(member, text));
    }
    for (const member of ['inputs', 'outputs', 'id', 'parameters']) {
      const isRight =
        (member === 'outputs' && text === '[]') ||
        (member === 'id' && text === '"x"') ||
        (member === 'parameters' && text.startsWith('{'));
      if (!isRight) yield post(`request ${member} ${text}`, whole({ [member]: '@' }).replace('"@"', text));
    }
  }
}

/** Inputs, outputs and parameters that do not fit. */
function* contents(): Generator<Malformed> {
  for (const member of ['name', 'datatype', 'shape', 'data'])
    yield post(`no ${member}`, input({ [member]: undefined }));
  for (const name of ['X', '', '__proto__', 'constructor', 'toString', 'y', 'x\0'])
    yield post(`name ${name}`, input({ name }));
  for (const datatype of ['FP64', 'INT32', 'fp32', 'FLOAT', '', 'BYTES', 'TYPE_FP32', '__proto__'])
    yield post(`datatype ${datatype}`, input({ datatype }));
  for (const shape of [
    [4],
    [1, 1, 4],
    [1, 3],
    [2, 4],
    [0, 4],
    [9, 4],
    [-1, 4],
    [4, 1],
    [2 ** 40, 4],
    [2 ** 53, 4],
    [1e308, 4],
    [1, 4.5],
    [1, '4'],
    [1, null],
    [[1, 4]],
  ])
    yield post(`shape ${JSON.stringify(shape)}`, input({ shape }));
  yield post('shape of 100,000 dimensions', input({ shape: Array(100_000).fill(1) }));
  for (const data of [
    [],
    [1],
    [1, 2, 3],
    [1, 2, 3, 4, 5],
    [
      [1, 2],
      [3, 4],
    ],
    [[1, 2, 3, 4, 5]],
    [[[1, 2, 3, 4]]],
    [[1], [2], [3], [4]],
    [1, 2, 3, '4'],
    [1, 2, 3, null],
    [1, 2, 3, true],
    [1, 2, 3, [4]],
    [1, 2, 3, {}],
    [1, 2, 3, 1e39],
  ])
    yield post(`data ${JSON.stringify(data)}`, input({ data }));
  for (const number of [
    'NaN',
    'Infinity',
    '-Infinity',
    '1e400',
    '01',
    '+1',
    '.5',
    '1.',
    '0x1',
    '1_0',
    '',
    '1,',
  ])
    yield post(`number ${number}`, withText('data', `[1,2,3,${number}]`));
  yield post('200,000 brackets', withText('data', '['.repeat(200_000)));
  yield post('200,000 brackets and their ends', withText('data', '['.repeat(200_000) + ']'.repeat(200_000)));
  yield post(
    '200,000 objects in an unknown member',
    `{"z":${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}}`,
  );
  for (const outputs of [
    [{}],
    [{ name: 'z' }],
    [{ name: '__proto__' }],
    [{ name: 'y' }, { name: 'y' }],
    ['y'],
    [{ name: 'y', parameters: { binary_data: 1 } }],
    [{ name: 'y', parameters: { classification: 3 } }],
    [{ name: 'y', parameters: { shared_memory_region: 'r' } }],
  ])
    yield post(`outputs ${JSON.stringify(outputs)}`, whole({ outputs }));
  for (const parameters of [
    { timeout: -1 },
    { timeout: 1.5 },
    { timeout: '1' },
    { timeout: 1e300 },
    { binary_data_output: 'true' },
    { triton_x: 1 },
    { a: null },
    { a: [] },
    { a: {} },
  ])
    yield post(`parameters ${JSON.stringify(parameters)}`, whole({ parameters }));
  const [one] = (JSON.parse(whole({})) as { inputs: object[] }).inputs;
  yield post('an input twice', JSON.stringify({ inputs: [one, one] }));
  yield post('a member twice', whole({}).replace('"inputs"', '"inputs":[],"inputs"'));
  yield post('a parameter twice', whole({ parameters: { timeout: 1, b: 2 } }).replace('"b"', '"timeout"'));
  yield post('a shared memory input', input({ parameters: { shared_memory_region: 'r' } }));
}

/** Binary tensors whose sizes or header do not fit. */
function* binaries(): Generator<Malformed> {
  const json = input({ data: undefined, parameters: { binary_data_size: 16 } });
  const of = (what: string, text: string, bytes: number, length: string | number = text.length) =>
    post(what, Buffer.concat([Buffer.from(text), Buffer.alloc(bytes)]), {
      'Inference-Header-Content-Length': length,
    });
  for (const bytes of [0, 1, 15, 17, 32]) yield of(`${bytes} bytes for 16`, json, bytes);
  for (const length of [
    '-1',
    '1.5',
    'x',
    '0x10',
    '1e3',
    '99999999999999999999',
    json.length + 17,
    json.length + 1,
    json.length - 1,
    '1,1',
    '+5',
  ])
    yield of(`header length ${length}`, json, 16, length);
  yield post('binary data without the header', json + '\0'.repeat(16));
  for (const size of [-16, 15, 12, 17, 1e300, '16', null, true, 16.5])
    yield of(
      `binary_data_size ${size}`,
      input({ data: undefined, parameters: { binary_data_size: size } }),
      16,
    );
  yield of('data and binary data', input({ parameters: { binary_data_size: 16 } }), 16);
  yield of('bytes behind JSON data', input({}), 4);
  for (const bytes of [0, 3, 12, 20])
    yield post(`a raw tensor of ${bytes} bytes`, Buffer.alloc(bytes), {
      'Inference-Header-Content-Length': 0,
    });
}

/** Requests that are not HTTP, or not as HTTP asks. */
function* http(): Generator<Malformed> {
  const raw = (what: string, text: string): Malformed => ({ what, bytes: Buffer.from(text, 'latin1') });
  yield raw('no HTTP', 'hello\r\n\r\n');
  yield raw('TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n');
  yield raw('no version', `POST ${INFER}\r\n\r\n`);
  yield raw('no host', `GET /v2 HTTP/1.1\r\n\r\n`);
  yield raw('a negative length', `POST ${INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n`);
  yield raw(
    'two lengths',
    `POST ${INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n`,
  );
  yield raw(
    'length and chunks',
    `POST ${INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  );
  yield raw(
    'a chunk of no number',
    `POST ${INFER} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
  );
  yield raw(
    'an empty chunked body',
    `POST ${INFER} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  );
  yield raw('a header of 64 KiB', `GET /v2 HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(65536)}\r\n\r\n`);
  yield raw('a URL of 64 KiB', `GET /${'x'.repeat(65536)} HTTP/1.1\r\nHost: a\r\n\r\n`);
  yield raw('a header with a line feed', 'GET /v2 HTTP/1.1\r\nHost: a\r\nX: a\nb\r\n\r\n');
  yield raw('an unknown method', `BREW /v2 HTTP/1.1\r\nHost: a\r\n\r\n`);
  yield raw('no body', `POST ${INFER} HTTP/1.1\r\nHost: a\r\n\r\n`);
  for (const coding of ['br', 'gzip', 'deflate', 'x', 'gzip,gzip'])
    yield post(`coding ${coding}`, whole({}), { 'Content-Encoding': coding });
}

describe('malformed requests', () => {
  const { infer, port } = serverOf(['square'], { serving: { maxBatchSize: 8 }, maxBody: 4 * 2 ** 20 });

  for (const [group, cases, least] of [
    ['bodies that are not a request', bodies, 90],
    ['inputs, outputs and parameters that do not fit', contents, 80],
    ['binary tensors that do not fit', binaries, 30],
    ['what is not HTTP', http, 18],
  ] as const) {
    it(`${group} are refused with a reason, each with 4xx, and the server goes on`, async () => {
      const all = [...cases()];
      expect(all.length).to.be.at.least(least);
      for (const { what, bytes } of all) {
        const { status, body } = await exchange(port(), bytes);
        expect(status, `${what}: ${body.toString()}`).to.be.within(400, 499);
        const { error } = JSON.parse(body.toString()) as { error: unknown };
        expect(error, what).to.be.a('string').and.not.empty;
        expect(error, what).not.to.match(/\n|\bat .*:\d+:\d+|\/lib\/|node_modules/);
      }
      expect((await infer('square', squareRequest([1, 2, 3, 4]))).status).to.equal(200);
    });
  }
});
