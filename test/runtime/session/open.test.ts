/** Ordered providers: what is passed over, what is not, and what is said of it. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { OnnxGroupNormError, SessionError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import type { SessionOptions } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import { type FloatDType, tensor } from '../../../lib/tensor.js';
import { NATIVE_REASON } from '../../support/native.js';

/** One that onnxruntime-node has on no machine of this kind. */
const ABSENT = process.platform === 'win32' ? 'coreml' : 'dml';
const CPU = NATIVE_REASON === undefined ? 'native' : 'cpu';

function unaryModel(operator: string, dtype: FloatDType = 'float32'): Uint8Array {
  const g = new GraphBuilder('unary');
  const x = g.input('x', dtype, [2, 2]);
  g.output('y', g.node(operator, [x], {}, [{ dtype, shape: [2, 2] }])[0]!);
  return encodeModel(g.build(), new Map());
}
const RELU = unaryModel('Relu');

async function failure(model: Uint8Array, options: SessionOptions): Promise<OnnxGroupNormError> {
  const error: unknown = await createSession(model, options).catch((caught: unknown) => caught);
  expect(error).to.be.instanceOf(OnnxGroupNormError);
  return error as OnnxGroupNormError;
}

describe('an ordered list of providers', () => {
  it('a session runs on the first usable provider, and says why the providers before it are not usable', async () => {
    const session = await createSession(RELU, { providers: [ABSENT, 'cpu', 'wasm'] });
    expect(session.provider).to.equal(CPU);
    expect(session.fallbacks.map(({ provider }) => provider)).to.deep.equal([ABSENT]);
    expect(session.fallbacks[0]!.reason).to.match(new RegExp(`^onnxruntime-node has no ${ABSENT} for `));
    await session.dispose();
  });

  it('a session has no fallbacks if the first provider runs the model', async () => {
    const session = await createSession(RELU, { providers: ['wasm', ABSENT] });
    expect([session.provider, session.fallbacks]).to.deep.equal(['wasm', []]);
    await session.dispose();
  });

  it('createSession with strict tries the first provider only', async () => {
    const error = await failure(RELU, { providers: [ABSENT, 'cpu'], strict: true });
    expect(error.code).to.equal('PROVIDER_UNAVAILABLE');
    expect(error.message).to.include(
      `(strict: the others are not tried). ${ABSENT}: onnxruntime-node has no`,
    );
    const session = await createSession(RELU, { providers: ['wasm', ABSENT], strict: true });
    expect(session.provider).to.equal('wasm');
    await session.dispose();
  });

  it('createSession gives the reason of each provider if no provider is usable', async () => {
    const error = await failure(RELU, { providers: [ABSENT] });
    expect(error.code).to.equal('PROVIDER_UNAVAILABLE');
    expect(error.message).to.match(
      new RegExp(`^no execution provider can be used\\. ${ABSENT}: onnxruntime`),
    );
  });

  it('createSession refuses an unknown name anywhere in the list before it tries a provider', async () => {
    expect((await failure(RELU, { providers: ['cpu', 'cudaa' as never] })).message).to.include(
      "did you mean 'cuda'",
    );
  });

  it('createSession passes over a provider that does not have an option', async () => {
    const options: SessionOptions = { providers: ['wasm', ABSENT], profileFilePrefix: 'never-written' };
    const error = await failure(RELU, options);
    expect(error.message)
      .to.include('wasm: onnxruntime-web cannot write a profile: leave out')
      .and.include(`${ABSENT}: `);
  });

  it('createSession does not blame the model for an option that no provider of the list has', async () => {
    const g = new GraphBuilder('norm');
    const [x, one] = [
      g.input('x', 'float32', [1, 4, 2, 2]),
      g.parameter('one', { dtype: 'float32', shape: [4] }),
    ];
    g.output('y', op.groupNormalization(g, x, one, one, { numGroups: 2 }));
    const weights = new Map([['one', tensor('float32', [4], new Float32Array(4).fill(1))]]);
    const options = { providers: ['wasm', 'cpu'], groupNorm: 'contrib-group-norm' } as const;
    const error = await failure(encodeModel(g.build(), weights), options);
    expect(error).to.have.property('code', 'PROVIDER_UNAVAILABLE');
    expect(error.message).to.match(
      /no execution provider can be used\. wasm: groupNorm: .*; cpu: groupNorm: /,
    );
  });

  it('createSession refuses a strict that is not true or false', async () => {
    expect(await failure(RELU, { strict: 'yes' as never })).to.have.property('code', 'INVALID_OPTION');
  });

  it('createSession passes over providers without a kernel for an operator, and names each', async () => {
    const model = unaryModel('Gelu', 'float64');
    const error = await failure(model, { providers: ['wasm', 'cpu'] });
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'MODEL_REJECTED');
    expect(error.message).to.match(/no execution provider can run this model\. wasm: .*; cpu: .*/);
    expect(error.message.match(/Could not find an implementation for Erf/g)).to.have.length(2);
    expect((await failure(model, { providers: ['wasm'] })).message).to.match(
      /^model: ONNX Runtime refuses this model: .*Could not find an implementation/,
    );
  });
});

describe('a model that is itself at fault', () => {
  const models: Record<string, [Uint8Array, code: string, message: string]> = {
    'that is not a model': [Uint8Array.of(1, 2, 3), 'MODEL_INVALID', ''],
    'with an operator that ONNX does not have': [
      unaryModel('Rleu'),
      'MODEL_REJECTED',
      'No Op registered for Rleu',
    ],
    'whose shapes contradict each other': [contradiction(), 'MODEL_REJECTED', 'ncompatible dimensions'],
  };
  for (const [what, [model, code, message]] of Object.entries(models)) {
    it(`the first provider refuses a model ${what}, and no other provider sees it`, async () => {
      const error = await failure(model, { providers: ['wasm', 'cpu'] });
      expect(error.code).to.equal(code);
      expect(error.message).to.include(message).and.not.include('cpu:');
      expect(error.message).not.to.include('execution provider');
    });
  }

  function contradiction(): Uint8Array {
    const g = new GraphBuilder('contradiction');
    const [a, b] = [g.input('a', 'float32', [2, 3]), g.input('b', 'float32', [2, 3])];
    g.output('y', g.node('MatMul', [a, b], {}, [{ dtype: 'float32', shape: [2, 3] }])[0]!);
    return encodeModel(g.build(), new Map());
  }
});

describe('a session that runs out of memory', () => {
  it('a session that runs out of memory throws OUT_OF_MEMORY, and says what to do', async () => {
    const g = new GraphBuilder('large');
    const x = g.input('x', 'float32', [1, 1]);
    const [y] = g.node('Tile', [x, g.input('repeats', 'int64', [2])], {}, [
      { dtype: 'float32', shape: ['A', 'B'] },
    ]);
    g.output('y', op.relu(g, y!));
    const session = await createSession(encodeModel(g.build(), new Map()), { providers: ['wasm'] });
    // 6 GB, which WebAssembly's 32 bits cannot address.
    const repeats = { dtype: 'int64', dims: [2], data: BigInt64Array.of(1_500_000_000n, 1n) } as const;
    const feeds = { x: { dtype: 'float32', dims: [1, 1], data: Float32Array.of(1) }, repeats } as const;
    const error: unknown = await session.run(feeds).catch((caught: unknown) => caught);
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'OUT_OF_MEMORY');
    expect((error as Error).message).to.include('smaller batches');
    await session.dispose();
  });
});
