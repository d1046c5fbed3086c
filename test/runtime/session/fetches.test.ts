/** Outputs that a caller chooses, and values that are not tensors of numbers. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { OptionError, SessionError } from '../../../lib/errors.js';
import type { RunOptions, Session, SessionOptions } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import { type StringTensor, tensor, type TensorData } from '../../../lib/tensor.js';
import { repeater, classifier, LABELS } from '../../support/classifier.js';
import { NATIVE_REASON } from '../../support/native.js';
import { rejection } from '../../support/temporary.js';

const HAS_NATIVE = NATIVE_REASON === undefined;
/** `groupNorm` asks for onnxruntime-node in place of the native kernel. */
const BACKENDS: Record<string, SessionOptions> = {
  ...(HAS_NATIVE && { native: { providers: ['native'] } }),
  'onnxruntime-node': { providers: ['cpu'], groupNorm: 'reduce-mean' },
  'onnxruntime-web': { providers: ['wasm'] },
};
const WITH_TEXTS = ['onnxruntime-node', 'onnxruntime-web'] as const;

const X = tensor('float32', [2, 3], Float32Array.of(1, 2, 3, 9, 0, 0));
const words = (...texts: string[]): StringTensor => tensor('string', [texts.length], texts);

async function failure(session: Session, options?: RunOptions): Promise<Error> {
  return (await rejection(session.run({ x: X }, options))) as Error;
}

describe('the outputs of a run', () => {
  for (const [backend, options] of Object.entries(BACKENDS)) {
    it(`run returns the outputs of fetches alone on ${backend}, beside texts, maps and sequences`, async () => {
      const session = await createSession(classifier(), options);
      expect(session.outputs.map(({ name, dtype }) => [name, dtype])).to.deep.equal([
        ['probabilities', 'float32'],
        ['label', 'string'],
        ['maps', undefined],
        ['parts', undefined],
      ]);
      const results = await session.run({ x: X }, { fetches: ['probabilities'] });
      expect(Object.keys(results)).to.deep.equal(['probabilities']);
      const sum = Math.exp(1) + Math.exp(2) + Math.exp(3);
      [1, 2, 3].forEach((value, i) => {
        expect(results['probabilities']!.data[i]).to.be.closeTo(Math.exp(value) / sum, 1e-6);
      });
      await session.dispose();
    });

    it(`run names the output that it cannot return, and what to fetch instead, on ${backend}`, async () => {
      const session = await createSession(classifier(), options);
      for (const [asked, name] of [
        [undefined, 'maps'],
        [['parts'], 'parts'],
      ] as const) {
        const error = await failure(session, { fetches: asked });
        expect(error).to.be.instanceOf(SessionError).with.property('code', 'OUTPUT_INVALID');
        expect(error.message).to.equal(
          `output '${name}' is not a tensor of numbers or texts, and sessions return only these: name the others, ` +
            "run(feeds, { fetches: ['probabilities', 'label'] })",
        );
      }
      await session.dispose();
    });
  }

  it('run refuses names that the model does not have, a list without names, and a tensor for another output', async () => {
    const session = await createSession(classifier());
    const unknown = await failure(session, { fetches: ['probability'] });
    expect(unknown.message)
      .to.include("'probability' is not an output")
      .and.include("did you mean 'probabilities'?");
    for (const fetches of [[], 'probabilities' as never, [undefined] as never, [0] as never]) {
      expect(await failure(session, { fetches })).to.be.instanceOf(OptionError);
    }
    const likeOrt = await failure(session, ['probabilities'] as never);
    expect(likeOrt.message).to.include("write run(feeds, { fetches: ['name'] })");
    const probabilities = tensor('float32', [2, 3], new Float32Array(6));
    const other = await failure(session, { fetches: ['label'], outputs: { probabilities } });
    expect(other.message).to.equal(
      "there is a tensor for output 'probabilities', but 'fetches' does not name it",
    );
    await session.dispose();
  });
});

describe('texts', () => {
  for (const backend of WITH_TEXTS) {
    it(`run takes and returns texts as arrays of strings on ${backend}`, async () => {
      const options = BACKENDS[backend]!;
      const labels = await createSession(classifier(), options);
      const { label } = await labels.run<{ label: StringTensor }>({ x: X }, { fetches: ['label'] });
      expect(label).to.deep.equal({ dtype: 'string', dims: [2], data: [LABELS[2], LABELS[0]] });
      await labels.dispose();
      const session = await createSession(repeater(), options);
      const texts = words('ab', 'é☃', '');
      const out = await session.run<{ twice: StringTensor; count: TensorData }>({ words: texts });
      expect(out.count.data).to.deep.equal(BigInt64Array.of(3n));
      expect(out.twice).to.deep.equal(words(...texts.data, ...texts.data));
      await session.dispose();
    });
  }

  it('the provider cpu runs a model with texts on onnxruntime-node, whether the native kernel is there or not', async () => {
    const session = await createSession(repeater());
    expect(session.provider).to.equal('cpu');
    const { twice } = await session.run<{ twice: StringTensor }>(
      { words: words('a') },
      { fetches: ['twice'] },
    );
    expect(twice.data).to.deep.equal(['a', 'a']);
    await session.dispose();
  });

  it('the native provider names the tensor of texts, and the next provider of the list takes over', async function () {
    if (!HAS_NATIVE) return this.skip();
    const alone = await createSession(repeater(), { providers: ['native'] });
    const error = (await rejection(alone.run({ words: words('a') }))) as Error;
    expect(error).to.have.property('code', 'PROVIDER_UNAVAILABLE');
    expect(error.message).to.include("'words' holds texts, which the native kernel does not pass");
    await alone.dispose();
    const session = await createSession(classifier(), { providers: ['native', 'cpu'] });
    const { label } = await session.run<{ label: StringTensor }>({ x: X }, { fetches: ['label'] });
    expect([label.data[1], session.provider]).to.deep.equal(['cat', 'cpu']);
    await session.dispose();
  });

  it('run refuses texts where numbers belong, numbers where texts belong, and a given tensor of texts', async () => {
    const session = await createSession(repeater());
    const { message } = (await rejection(session.run({ words: X }))) as Error;
    expect(message).to.include("input 'words' is float32 but must be string");
    const mixed = { dtype: 'string', dims: [2], data: ['a', 1] } as never;
    expect(((await rejection(session.run({ words: mixed }))) as Error).message).to.include(
      'an array of strings',
    );
    const short = { dtype: 'string', dims: [2], data: ['a'] } as const;
    expect(((await rejection(session.run({ words: short }))) as Error).message).to.include(
      'holds 2 elements',
    );
    const given = { outputs: { twice: words('') as never } };
    expect(((await rejection(session.run({ words: words('a') }, given))) as Error).message).to.include(
      "output 'twice' is string [M]: a run cannot write texts into a given tensor",
    );
    await session.dispose();
  });
});
