import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { toFloat64Array } from '../../lib/half.js';
import { Model } from '../../lib/onnx/model.js';
import { convertModel } from '../../lib/rewrite/convert.js';
import type { SessionOptions } from '../../lib/runtime/core/contract.js';
import { createSession } from '../../lib/runtime/node.js';
import { decodeSafetensors } from '../../lib/weights/safetensors.js';
import { NATIVE_REASON } from '../support/native.js';

const FOLDER = new URL('../samples/exports/', import.meta.url);
const NAMES = readdirSync(FOLDER).flatMap((file) => (file.endsWith('.onnx') ? [file.slice(0, -5)] : []));
const read = (file: string): Uint8Array => new Uint8Array(readFileSync(new URL(file, FOLDER)));

/** How many GroupNorms a sample has. */
const countOf = (name: string): number => (/^(shared|choice)/.test(name) ? 2 : 1);
const isWritten = (name: string): boolean => name.startsWith('textbook') || name.startsWith('keras');

/** Whether only `reduce-mean` and the kernel can take the variance, of rows whose length is known at run time. */
const isCorrected = (name: string): boolean => name.startsWith('textbook-corrected');

const SESSIONS: readonly { readonly says: string; readonly options: SessionOptions }[] = [
  ...(NATIVE_REASON === undefined ? [{ says: 'kernel', options: { providers: ['native'] } } as const] : []),
  { says: 'reduce-mean', options: { providers: ['cpu'], groupNorm: 'reduce-mean' } },
  { says: 'reduce-mean', options: { providers: ['wasm'] } },
  { says: 'instance-norm', options: { providers: ['cpu'], groupNorm: 'instance-norm' } },
];

/** Runs a model on a sample's input. Returns the largest error in units of `torch.testing.assert_close`'s tolerance. */
async function errorOf(
  name: string,
  bytes: Uint8Array,
  options: SessionOptions,
  says?: string,
): Promise<number> {
  const { tensors } = decodeSafetensors(read(`${name}.safetensors`));
  const [x, expected] = [tensors.get('x')!, toFloat64Array(tensors.get('y')!)];
  await using session = await createSession(bytes, options);
  expect(session.groupNorm).to.equal(says);
  const [output] = session.outputs;
  const y = (await session.run({ [session.inputs[0]!.name]: x }))[output!.name]!;
  expect(y.dims).to.deep.equal(tensors.get('y')!.dims);
  return toFloat64Array(y).reduce((worst, value, i) => {
    const difference = Math.abs(value - expected[i]!);
    return Math.max(worst, difference / (1e-5 + 1.3e-6 * Math.abs(expected[i]!)));
  }, 0);
}

describe('GroupNorm as exporters write it', () => {
  for (const name of NAMES) {
    for (const { says, options } of SESSIONS) {
      it(`GroupNorm as exporters write it runs as one normalization in a session, and agrees with float64: ${name}, ${JSON.stringify(options)}`, async () => {
        const expected = says === 'instance-norm' && isCorrected(name) ? 'reduce-mean' : says;
        expect(await errorOf(name, read(`${name}.onnx`), options, expected)).to.be.below(1);
      });
    }

    it(`convertModel replaces all nodes of an export of GroupNorm by one normalization: ${name}`, async () => {
      const { bytes, replaced, lowerings } = convertModel(read(`${name}.onnx`));
      const [exported, inlined] = isWritten(name) ? [0, countOf(name)] : [countOf(name), 0];
      expect(replaced).to.deep.equal({ groupNormalization: 0, exported, contrib: 0, inlined, rows: 0 });
      expect(lowerings).to.deep.equal(['reduce-mean']);
      const model = Model.decode(bytes);
      const left = new Set([...model.nodes, ...model.nestedNodes()].map(({ opType }) => opType));
      for (const opType of ['InstanceNormalization', 'Pow', 'Reciprocal', 'Neg'])
        expect(left).to.not.include(opType);
      expect(await errorOf(name, bytes, { providers: ['cpu'] })).to.be.below(1);
    });
  }
});
