import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RequestError } from '../../../lib/errors.js';
import { DATATYPES } from '../../../lib/server/protocol/datatypes.js';
import { decodeInferRequest, type RequestedModel } from '../../../lib/server/protocol/request.js';
import { inOneGo } from '../../../lib/server/protocol/steps.js';
import type { DType, Shape } from '../../../lib/tensor.js';
import { caught } from '../../support/temporary.js';
import { bodyOf, bytesOf, decodeBinary, decodeJson } from '../support.js';

const model = (
  shape: Shape | undefined = ['N', 4],
  dtype: DType | 'string' = 'float32',
  maxBatchSize?: number,
): RequestedModel => ({
  inputs: [{ name: 'x', dtype, shape }],
  outputs: [
    { name: 'y', dtype: 'float32', shape: ['N', 4] },
    { name: 'h', dtype: 'float16', shape: ['N', 4] },
  ],
  maxBatchSize,
});

const OUTPUTS = [{ name: 'y' }];
const request = (input: object, rest: object = {}) => ({
  inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', ...input }],
  outputs: OUTPUTS,
  ...rest,
});

/** The code and message of the error, or the data of `x`. */
function outcome(json: unknown, of: RequestedModel = model()): unknown {
  const error = caught(() => decodeJson(json, of));
  if (error === undefined) return decodeJson(json, of).feeds.x!.data;
  expect(error).to.be.instanceOf(RequestError);
  return `${(error as RequestError).code}: ${(error as RequestError).message}`;
}

describe('a request in JSON', () => {
  it('a request in JSON may have its data flat or nested, and its members in any order', () => {
    const given = request({ data: [1, 2, 1e-3, 4e5] }, { id: 'ä', x: { y: [[], {}, null] } });
    const flat = decodeJson(JSON.stringify(given).replace('[1,2,', '[1,-0,'), model());
    expect(flat.id).to.equal('ä');
    expect(flat.feeds.x).to.deep.equal({
      dtype: 'float32',
      dims: [1, 4],
      data: Float32Array.of(1, -0, 1e-3, 4e5),
    });
    expect(flat.outputs).to.deep.equal([{ name: 'y', binary: false }]);
    expect(outcome(request({ data: [[1, 2, 3, 4]] }))).to.deep.equal(Float32Array.of(1, 2, 3, 4));
    const turned = { data: [[1], [2]], shape: [2, 1], datatype: 'FP32', name: 'x' };
    expect(outcome({ outputs: OUTPUTS, inputs: [turned] }, model(['N', 1]))).to.deep.equal(
      Float32Array.of(1, 2),
    );
    expect(outcome(request({ shape: [0, 4], data: [] }))).to.deep.equal(new Float32Array(0));
    expect(outcome(request({ shape: [2, 0], data: [[], []] }), model(['N', 'M']))).to.deep.equal(
      new Float32Array(0),
    );
    expect(outcome(request({ shape: [], data: [7] }), model([]))).to.deep.equal(Float32Array.of(7));
  });

  it('a request in JSON keeps every bit of 64-bit integers', () => {
    const json = (datatype: string, data: string) =>
      `{"inputs":[{"name":"x","shape":[3],"datatype":"${datatype}","data":${data}}],"outputs":[{"name":"y"}]}`;
    expect(
      outcome(json('INT64', '[9007199254740993, -9223372036854775808 ,1e3]'), model([3], 'int64')),
    ).to.deep.equal(BigInt64Array.of(9007199254740993n, -9223372036854775808n, 1000n));
    expect(outcome(json('UINT64', '[18446744073709551615,0,1]'), model([3], 'uint64'))).to.deep.equal(
      BigUint64Array.of(18446744073709551615n, 0n, 1n),
    );
    for (const wrong of ['9223372036854775808', '1.5', '1e300', '9'.repeat(1000), '"1"', 'true', '']) {
      expect(outcome(json('INT64', `[1,2,${wrong}]`), model([3], 'int64')), wrong).to.match(/^INPUT_DATA/);
    }
  });

  it('a request in JSON may have a list longer than one piece of the reader', () => {
    const data = Array.from({ length: 50_000 }, (_, i) => i / 7);
    const given = request({ shape: [12500, 4], data });
    expect(outcome(given)).to.deep.equal(Float32Array.from(data));
    expect(outcome(JSON.stringify(given).replace(/\]\}\],"outputs"/, ',]}],"outputs"'))).to.match(
      /^INPUT_DATA/,
    );
    expect(outcome(request({ shape: [12500, 4], data: [...data, 1] }))).to.match(
      /^INPUT_DATA.*more than 50000/,
    );
  });

  it('a request in JSON takes true and false for BOOL, texts for BYTES, and nothing else', () => {
    const bool = model([2], 'bool');
    const given = (datatype: string, data: unknown) => request({ shape: [2], datatype, data });
    expect(outcome(given('BOOL', [true, false]), bool)).to.deep.equal(Uint8Array.of(1, 0));
    for (const data of [
      [1, 0],
      ['true', 'false'],
      [null, true],
    ])
      expect(outcome(given('BOOL', data), bool)).to.include('true or false');
    const text = model([2], 'string');
    expect(outcome(given('BYTES', ['ä\u0000', '']), text)).to.deep.equal(['ä\u0000', '']);
    for (const data of [[1, 'a'], [null, 'a'], ['a'], ['a', 'b', 'c'], ['\ud800', 'a']])
      expect(outcome(given('BYTES', data), text)).to.match(/^INPUT_DATA/);
  });

  it('a request in JSON is refused where an element does not fit the datatype', () => {
    const cases: [DType, string, unknown[]][] = [
      ['uint8', 'UINT8', [256, -1, 1.5, '1', true, null, [1]]],
      ['int16', 'INT16', [32768, 1e308]],
      ['float32', 'FP32', [1e39, '1', null, false, {}]],
    ];
    for (const [dtype, datatype, elements] of cases) {
      for (const element of elements) {
        const found = outcome(request({ shape: [1], datatype, data: [element] }), model([1], dtype));
        expect(found, `${datatype} ${JSON.stringify(element)}`).to.match(/^INPUT_DATA/);
      }
    }
    const nan = JSON.stringify(request({ data: [1, 2, 3, 4] })).replace('[1,2', '[NaN,2');
    expect(outcome(nan)).to.equal("INPUT_DATA: input 'x': JSON has no NaN; send the tensor as binary data");
    const half = outcome(request({ datatype: 'FP16', data: [1, 2, 3, 4] }), model([1, 4], 'float16'));
    expect(half).to.include(
      "JSON has no form for FP16; send it as binary data, with the parameter 'binary_data_size'",
    );
  });

  it('a request in JSON is refused if its lists nest otherwise than the shape', () => {
    for (const data of [
      [
        [1, 2],
        [3, 4],
      ],
      [[1, 2, 3]],
      [[1, 2, 3, 4, 5]],
      [[1, 2, 3, 4], []],
      [[[1, 2, 3, 4]]],
      [[1], 2],
      [],
      [1, 2, 3],
      5,
      '1',
      {},
      null,
    ]) {
      expect(outcome(request({ data })), JSON.stringify(data)).to.match(/^INPUT_DATA/);
    }
  });

  it('a request in JSON of 200,000 brackets, or of a shape of 2^58 elements, is refused before memory is taken', () => {
    const deep = '['.repeat(200_000);
    const text = (data: string, shape = '[1,4]') =>
      `{"inputs":[{"name":"x","shape":${shape},"datatype":"FP32","data":${data}}]}`;
    expect(outcome(text(deep))).to.match(/^(JSON_INVALID|INPUT_DATA)/);
    expect(outcome(text(deep + ']'.repeat(200_000)))).to.match(/^INPUT_DATA/);
    expect(outcome(`{"other":${deep}`)).to.match(/^JSON_INVALID/);
    const any = model([`A`, 'B', 'C', 'D']);
    expect(outcome(text('[0]', '[1099511627776,32,16,16]'), any)).to.match(/^INPUT_SHAPE|^INPUT_DATA/);
    expect(outcome(text('[0]', '[9007199254740991,9007199254740991,2,2]'), any)).to.match(/^INPUT_SHAPE/);
    const [huge, cube] = [Number.MAX_SAFE_INTEGER, model(['A', 'B', 'C'])];
    expect(outcome(request({ shape: [huge, huge, 0], data: [] }), cube)).to.match(/^INPUT_SHAPE/);
    expect(outcome(request({ shape: [huge, 1, 0], data: [] }), cube)).to.deep.equal(new Float32Array(0));
    const large = { shape: [400_000], data: Array.from({ length: 400_000 }, () => 1) };
    expect(outcome(request(large), model(['N']))).to.match(/^TOO_LARGE/);
  });

  it('a request is refused that is not JSON, not UTF-8 or not an object of the right members', () => {
    const codes: Record<string, string[]> = {
      JSON_INVALID: [
        '',
        '{"inputs":[{"name":',
        '{"inputs":[',
        '{"inputs":[]} x',
        "{'inputs':[]}",
        '{"a":01}',
        '{"a":[1,]}',
        '{"a":tru}',
        '{"inputs":[{"name":"x}]}',
      ],
      REQUEST_INVALID: [
        '[]',
        'null',
        '1',
        '{}',
        '{"inputs":null}',
        '{"inputs":{}}',
        '{"inputs":[1]}',
        '{"inputs":[{}]}',
        '{"id":5,"inputs":[]}',
        '{"id":null,"inputs":[]}',
        '{"inputs":[],"inputs":[]}',
        '{"inputs":[],"outputs":"y"}',
        '{"inputs":[],"outputs":[{"name":3}]}',
        '{"inputs":[],"outputs":[{}]}',
        '{"parameters":[],"inputs":[]}',
        '{"parameters":{"a":{}},"inputs":[]}',
        '{"parameters":{"a":null},"inputs":[]}',
        '{"parameters":{"timeout":-1},"inputs":[]}',
        '{"parameters":{"timeout":"1"},"inputs":[]}',
        '{"parameters":{"binary_data_output":1},"inputs":[]}',
        JSON.stringify(request({ shape: undefined, data: [] })),
        JSON.stringify(request({ datatype: 7, data: [] })),
        JSON.stringify(request({ name: undefined, data: [] })),
        JSON.stringify(request({ parameters: { binary_data_size: -1 } })),
        JSON.stringify(request({ parameters: { binary_data_size: 16 } })),
        JSON.stringify(request({ parameters: { shared_memory_region: 'a' } })),
        JSON.stringify(request({ data: [1, 2, 3, 4] }, { outputs: [{ name: 'y' }, { name: 'y' }] })),
        JSON.stringify(
          request({ data: [1, 2, 3, 4] }, { outputs: [{ name: 'y', parameters: { classification: 2 } }] }),
        ),
        ...[
          '[1.5,4]',
          '[-1,4]',
          '["1",4]',
          '[true,4]',
          '[null,4]',
          '[1e308,4]',
          '4',
          'null',
          '{}',
          `[${'1,'.repeat(70)}1]`,
        ].map((shape) => `{"inputs":[{"name":"x","datatype":"FP32","shape":${shape},"data":[1,2,3,4]}]}`),
      ],
      INPUT_MISSING: ['{"inputs":[],"outputs":[{"name":"y"}]}'],
      INPUT_UNKNOWN: [
        JSON.stringify(request({ name: 'X', data: [] })),
        JSON.stringify(request({ name: '__proto__', data: [] })),
      ],
      INPUT_DTYPE: [
        JSON.stringify(request({ datatype: 'FP64', data: [1, 2, 3, 4] })),
        JSON.stringify(request({ datatype: 'constructor', data: [] })),
      ],
      INPUT_SHAPE: [
        JSON.stringify(request({ shape: [4], data: [1, 2, 3, 4] })),
        JSON.stringify(request({ shape: [2, 2], data: [1, 2, 3, 4] })),
      ],
      INPUT_DATA: [JSON.stringify(request({}))],
      OUTPUT_UNKNOWN: [JSON.stringify(request({ data: [1, 2, 3, 4] }, { outputs: [{ name: '__proto__' }] }))],
      OUTPUT_NOT_JSON: [JSON.stringify(request({ data: [1, 2, 3, 4] }, { outputs: [] }))],
    };
    for (const [code, texts] of Object.entries(codes))
      for (const text of texts) expect(outcome(text), text).to.match(new RegExp(`^${code}: `));
    const twice = {
      inputs: [request({ data: [1, 2, 3, 4] }).inputs[0], request({ data: [1, 2, 3, 4] }).inputs[0]],
    };
    expect(outcome(twice)).to.equal("REQUEST_INVALID: input 'x' is given twice");
    const bytes = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]);
    const error = caught(() =>
      inOneGo(decodeInferRequest({ bytes, jsonLength: undefined, maxBytes: 100 }, model())),
    );
    expect(error).to.have.property('code', 'JSON_INVALID');
  });

  it('a request for a model that batches has 1 to max_batch_size samples', () => {
    const batching = model(['N', 4], 'float32', 2);
    expect(outcome(request({ shape: [2, 4], data: [1, 2, 3, 4, 5, 6, 7, 8] }), batching)).to.have.length(8);
    for (const n of [0, 3]) {
      const found = outcome(request({ shape: [n, 4], data: new Array(4 * n).fill(0) }), batching);
      expect(found).to.match(/^INPUT_SHAPE.*of 1 to 2 samples/);
    }
  });

  it('a request may name inputs and outputs __proto__ and constructor if the model does', () => {
    const odd: RequestedModel = {
      inputs: ['__proto__', 'constructor'].map((name) => ({ name, dtype: 'int8', shape: [1] })),
      outputs: [{ name: '__proto__', dtype: 'int8', shape: [1] }],
      maxBatchSize: undefined,
    };
    const input = (name: string) => `{"name":"${name}","datatype":"INT8","shape":[1],"data":[7]}`;
    const { feeds, outputs } = decodeJson(`{"inputs":[${input('__proto__')},${input('constructor')}]}`, odd);
    expect(Object.keys(feeds)).to.deep.equal(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(feeds)).to.equal(Object.prototype);
    expect(outputs).to.deep.equal([{ name: '__proto__', binary: false }]);
  });

  it('a request tells how long it may wait in microseconds, and 0 means any time', () => {
    const timeout = (value: number) =>
      decodeJson(
        request({ data: [1, 2, 3, 4] }, { parameters: { timeout: value, sequence_id: 3, mine: 'x' } }),
        model(),
      ).timeout;
    expect([timeout(1500), timeout(0)]).to.deep.equal([1.5, undefined]);
  });
});

describe('a request with binary tensors', () => {
  it('binary tensors of every datatype are read at every offset of the body', () => {
    const values: Record<string, [DType | 'string', Uint8Array, unknown]> = {
      BOOL: ['bool', Uint8Array.of(1, 0), Uint8Array.of(1, 0)],
      BYTES: ['string', Buffer.from('\u0002\0\0\0ä\0\0\0\0'), ['ä', '']],
    };
    const arrays = {
      UINT8: ['uint8', Uint8Array.of(1, 255)],
      UINT16: ['uint16', Uint16Array.of(1, 65535)],
      UINT32: ['uint32', Uint32Array.of(1, 2 ** 32 - 1)],
      UINT64: ['uint64', BigUint64Array.of(1n, 2n ** 64n - 1n)],
      INT8: ['int8', Int8Array.of(-128, 127)],
      INT16: ['int16', Int16Array.of(-1, 2)],
      INT32: ['int32', Int32Array.of(-1, 2)],
      INT64: ['int64', BigInt64Array.of(-(2n ** 63n), 2n)],
      FP16: ['float16', Uint16Array.of(0x3c00, 0x7e00)],
      BF16: ['bfloat16', Uint16Array.of(0x3f80, 0x7fc0)],
      FP32: ['float32', Float32Array.of(-0, NaN)],
      FP64: ['float64', Float64Array.of(0.1, -Infinity)],
    } as const;
    for (const [datatype, [dtype, array]] of Object.entries(arrays))
      values[datatype] = [dtype, bytesOf(array), array];
    expect(Object.keys(values).sort()).to.deep.equal([...DATATYPES].sort());
    for (const [datatype, [dtype, bytes, expected]] of Object.entries(values)) {
      for (let offset = 0; offset < 8; offset++) {
        const id = 'i'.repeat(offset);
        const input = { name: 'x', shape: [2], datatype, parameters: { binary_data_size: bytes.length } };
        const { feeds } = decodeBinary(model([2], dtype), { id, inputs: [input], outputs: OUTPUTS }, bytes);
        expect(feeds.x!.data, `${datatype} at offset ${offset}`).to.deep.equal(expected);
      }
    }
  });

  it('binary tensors follow in the order of the binary inputs, with JSON inputs between them', () => {
    const three: RequestedModel = {
      inputs: ['a', 'b', 'c'].map((name) => ({ name, dtype: 'int8', shape: [1] })),
      outputs: [{ name: 'y', dtype: 'int8', shape: [1] }],
      maxBatchSize: undefined,
    };
    const input = (name: string, rest: object) => ({ name, datatype: 'INT8', shape: [1], ...rest });
    const binary = { parameters: { binary_data_size: 1 } };
    const inputs = [input('c', binary), input('b', { data: [2] }), input('a', binary)];
    const { feeds } = decodeBinary(three, { inputs }, Buffer.from([3, 1]));
    expect(['a', 'b', 'c'].map((name) => feeds[name]!.data[0])).to.deep.equal([1, 2, 3]);
  });

  it('binary tensors whose sizes do not add up are refused', () => {
    const of = (size: unknown, length: number, input: object = {}) => {
      const given = request({ parameters: { binary_data_size: size }, ...input });
      const error = caught(() => decodeBinary(model(), given, Buffer.alloc(length)));
      return (error as RequestError | undefined)?.code;
    };
    expect(of(16, 16)).to.equal(undefined);
    expect([of(16, 15), of(12, 16), of(12, 12), of(16, 16, { data: [1, 2, 3, 4] })]).to.deep.equal(
      Array(4).fill('INPUT_DATA'),
    );
    expect([of(16, 17), of(-16, 16), of('16', 16), of(1e300, 16), of(15.5, 16)]).to.deep.equal(
      Array(5).fill('REQUEST_INVALID'),
    );
    const texts = (bytes: string | Buffer) => {
      const data = Buffer.from(bytes);
      const given = request({ shape: [1], datatype: 'BYTES', parameters: { binary_data_size: data.length } });
      return (caught(() => decodeBinary(model([1], 'string'), given, data)) as RequestError | undefined)
        ?.code;
    };
    expect(texts('\u0001\0\0\0a')).to.equal(undefined);
    for (const wrong of [
      '',
      '\u0001\0\0',
      '\u0002\0\0\0a',
      '\u0001\0\0\0ab',
      Buffer.from([1, 0, 0, 0, 0xff]),
      Buffer.from([255, 255, 255, 255]),
    ])
      expect(texts(wrong)).to.equal('INPUT_DATA');
  });

  it('Inference-Header-Content-Length beyond the body is refused, and counts bytes, not characters', () => {
    const json = JSON.stringify(request({ data: [1, 2, 3, 4] }, { id: 'ääää' }));
    const of = (jsonLength: number) =>
      caught(() =>
        inOneGo(decodeInferRequest({ bytes: bodyOf(json).bytes, jsonLength, maxBytes: 1000 }, model())),
      );
    expect(of(Buffer.byteLength(json))).to.equal(undefined);
    expect(of(Buffer.byteLength(json) + 1)).to.have.property('code', 'REQUEST_INVALID');
    expect(of(json.length)).to.have.property('code', 'JSON_INVALID');
  });

  it('outputs are binary as their own parameter says, or else as the request says', () => {
    const of = (outputs: object[], binary?: boolean) =>
      decodeJson(
        request(
          { data: [1, 2, 3, 4] },
          { outputs, ...(binary !== undefined && { parameters: { binary_data_output: binary } }) },
        ),
        model(),
      ).outputs;
    const y = (binary: boolean) => ({ name: 'y', parameters: { binary_data: binary } });
    expect(of([], true)).to.deep.equal([
      { name: 'y', binary: true },
      { name: 'h', binary: true },
    ]);
    expect(of([{ name: 'h' }, y(false)], true)).to.deep.equal([
      { name: 'h', binary: true },
      { name: 'y', binary: false },
    ]);
    expect(of([y(true)])).to.deep.equal([{ name: 'y', binary: true }]);
  });

  it('a raw tensor is one sample of the only input, with at most one open dimension', () => {
    const raw = (bytes: Buffer, of: RequestedModel) =>
      inOneGo(decodeInferRequest({ bytes, jsonLength: 0, maxBytes: 1000 }, of));
    const floats = bytesOf(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    const { feeds, outputs } = raw(floats, model(['N', 4, 'W'], 'float32', 8));
    expect(feeds.x!.dims).to.deep.equal([1, 4, 2]);
    expect(outputs.every(({ binary }) => binary)).to.equal(true);
    expect(raw(floats, model(['N', 4])).feeds.x!.dims).to.deep.equal([2, 4]);
    expect(raw(Buffer.from('täxt'), model([1], 'string')).feeds.x!.data).to.deep.equal(['täxt']);
    const code = (bytes: Buffer, of: RequestedModel) => (caught(() => raw(bytes, of)) as RequestError).code;
    expect(code(floats, model(['N', 'C']))).to.equal('INPUT_SHAPE');
    expect(
      code(floats, { ...model(), inputs: [{ name: 'x', dtype: 'float32', shape: undefined }] }),
    ).to.equal('INPUT_SHAPE');
    expect(code(floats.subarray(1), model(['N', 4]))).to.equal('INPUT_DATA');
    expect(code(Buffer.from('a'), model([2], 'string'))).to.equal('INPUT_SHAPE');
    const two = {
      ...model(),
      inputs: [...model().inputs, { name: 'z', dtype: 'int8', shape: [1] }],
    } as RequestedModel;
    expect(code(floats, two)).to.equal('REQUEST_INVALID');
  });
});
