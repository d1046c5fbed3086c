import { expect } from 'chai';
import { describe, it } from 'mocha';
import { type AnswerOutput, encodeAnswer } from '../../../lib/server/protocol/response.js';
import { inOneGo } from '../../../lib/server/protocol/steps.js';
import { type AnyTensor, type DType, tensor } from '../../../lib/tensor.js';
import { caught } from '../../support/temporary.js';

const answer = (outputs: AnswerOutput[], id?: string) =>
  inOneGo(encodeAnswer({ modelName: 'm', modelVersion: '3', id, outputs }));
const inJson = (value: AnyTensor) => answer([{ name: 'y', value, binary: false }]).body.toString();

describe('an answer', () => {
  it('an answer in JSON has numbers from which every reader gets the same bits', () => {
    const floats = Float32Array.of(0.1, -0, 1e-45, 3.4028235e38, 16777217, 1 / 3);
    const text = inJson(tensor('float32', [2, 3], floats));
    const parsed = JSON.parse(text) as { outputs: { data: number[] }[] };
    expect(new Float32Array(parsed.outputs[0]!.data)).to.deep.equal(floats);
    expect(parsed).to.deep.equal({
      model_name: 'm',
      model_version: '3',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 3], data: [...floats] }],
    });
    expect(inJson(tensor('int64', [2], BigInt64Array.of(-(2n ** 63n), 9007199254740993n)))).to.include(
      '"data":[-9223372036854775808,9007199254740993]',
    );
    expect(inJson(tensor('bool', [2], Uint8Array.of(1, 0)))).to.include(
      '"datatype":"BOOL","shape":[2],"data":[true,false]',
    );
    expect(inJson(tensor('string', [2], ['ä"', '\n']))).to.include(
      '"datatype":"BYTES","shape":[2],"data":["ä\\"","\\n"]',
    );
    expect(inJson(tensor('uint8', [0], new Uint8Array(0)))).to.include('"data":[]');
    const long = Float64Array.from({ length: 10_000 }, (_, i) => i / 3);
    expect(
      (JSON.parse(inJson(tensor('float64', [10_000], long))) as typeof parsed).outputs[0]!.data,
    ).to.deep.equal([...long]);
  });

  it('an answer in JSON with NaN or infinity is refused, with a pointer to binary data', () => {
    for (const value of [NaN, Infinity, -Infinity]) {
      const error = caught(() => inJson(tensor('float32', [2], Float32Array.of(1, value))));
      expect(error).to.have.property('code', 'OUTPUT_NOT_JSON');
      expect((error as Error).message)
        .to.include(`element 1 is ${value}`)
        .and.include("'binary_data'");
    }
  });

  it('an answer has its binary tensors behind the JSON, in the order of the outputs', () => {
    const value = (dtype: DType, data: object) => tensor(dtype, [1], data as Float32Array);
    const { body, jsonLength } = answer(
      [
        { name: 'a', value: value('float16', Uint16Array.of(0x7e00)), binary: true },
        { name: 'b', value: value('int8', Int8Array.of(5)), binary: false },
        { name: 'c', value: tensor('string', [2], ['ä', '']), binary: true },
      ],
      'ü',
    );
    expect(JSON.parse(body.subarray(0, jsonLength).toString())).to.deep.equal({
      model_name: 'm',
      model_version: '3',
      id: 'ü',
      outputs: [
        { name: 'a', datatype: 'FP16', shape: [1], parameters: { binary_data_size: 2 } },
        { name: 'b', datatype: 'INT8', shape: [1], data: [5] },
        { name: 'c', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: 10 } },
      ],
    });
    expect(body.subarray(jsonLength)).to.deep.equal(Buffer.from('\0~\u0002\0\0\0ä\0\0\0\0'));
    expect(answer([{ name: 'b', value: value('int8', Int8Array.of(5)), binary: false }]).jsonLength).to.equal(
      undefined,
    );
  });
});
