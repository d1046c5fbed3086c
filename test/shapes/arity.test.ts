import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as ort from 'onnxruntime-node';
import { type Arity, arityOf, KNOWN_OPERATORS } from '../../lib/shapes/arity.js';
import { all, int, message, text, valueInfo } from '../onnx/bytes.js';

/** Operators that are not ONNX's own: ONNX Runtime's, and the native kernel's, which onnxruntime-node lacks. */
const CONTRIB = ['BiasAdd', 'GroupNorm', 'NhwcConv', 'QuickGelu', 'SkipGroupNorm'];
const OWN = ['BlockedGroupNormalization', 'FusedGroupNormalization'];

const named = (field: number, count: number) =>
  Array.from({ length: count }, (_, index) => text(field, `${field === 1 ? 'x' : 'y'}${index}`));

/** What ONNX Runtime says about a node with this number of inputs and outputs. */
async function refusal(opType: string, opset: number, inputs: number, outputs: number): Promise<string> {
  const domain = CONTRIB.includes(opType) ? [text(7, 'com.microsoft')] : [];
  const node = message(1, ...named(1, inputs), ...named(2, outputs), text(4, opType), ...domain);
  const declared = Array.from({ length: inputs }, (_, index) => valueInfo(11, `x${index}`, 1, 1));
  const imports = [message(8, int(2, opset)), message(8, text(1, 'com.microsoft'), int(2, 1))];
  const model = all(int(1, 8), message(7, node, ...declared), ...imports);
  return ort.InferenceSession.create(model, { logSeverityLevel: 4 }).then(
    () => 'loaded',
    (error: Error) => error.message,
  );
}

/** ONNX Runtime's own limits, out of its messages; `Infinity` for the largest number that it has. */
async function runtimesArity(opType: string, opset: number, { maxInputs, minInputs }: Arity) {
  const range = (text: string): number[] =>
    /not in range \[min=(\d+), max=(\d+)\]/.exec(text)?.slice(1).map(Number).map(orInfinite) ?? [];
  const wrong = minInputs > 0 ? minInputs - 1 : maxInputs + 1;
  const [inputs, outputs] = [
    await refusal(opType, opset, wrong, 1),
    await refusal(opType, opset, minInputs, 0),
  ];
  return [...range(inputs), ...range(outputs)];
}

const orInfinite = (value: number): number => (value >= 2 ** 31 - 1 ? Infinity : value);

describe('arityOf', () => {
  it('arityOf returns the number of inputs and outputs that ONNX Runtime allows, in each opset that it has', async () => {
    let compared = 0;
    for (const opset of [8, 11, 13, 18]) {
      for (const opType of KNOWN_OPERATORS.filter((name) => !OWN.includes(name))) {
        const arity = arityOf(opType, opset)!;
        const allowed = await runtimesArity(opType, opset, arity);
        // An operator that the opset does not have is refused by its name.
        if (allowed.length === 0) continue;
        const { minInputs, maxInputs, minOutputs, maxOutputs } = arity;
        compared += 1;
        expect([opType, opset, ...allowed]).to.deep.equal([
          ...[opType, opset, minInputs, maxInputs],
          ...[minOutputs, maxOutputs],
        ]);
      }
    }
    expect(compared).to.be.greaterThan(4 * 70);
  });

  it('arityOf returns undefined for an operator that passes do not read', () => {
    expect(arityOf('Einsum', 21)).to.equal(undefined);
    expect(arityOf('constructor', 21)).to.equal(undefined);
  });
});
