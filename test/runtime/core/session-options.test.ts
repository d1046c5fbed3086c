/** The options of onnxruntime's own sessions, on the runtimes that have them. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { type OnnxGroupNormError, OptionError, SessionError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import type { SessionOptions } from '../../../lib/runtime/core/contract.js';
import { requireSessionOptions } from '../../../lib/runtime/core/session-options.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensor } from '../../../lib/tensor.js';
import { NATIVE_REASON } from '../../support/native.js';
import { caught, rejection } from '../../support/temporary.js';

const HAS_NATIVE = NATIVE_REASON === undefined;
/** `groupNorm` asks for onnxruntime-node in place of the native kernel. */
const NODE: SessionOptions = { providers: ['cpu'], groupNorm: 'reduce-mean' };

/** y = relu(x) + relu(z): two branches. */
function branches(): Uint8Array {
  const g = new GraphBuilder('branches');
  const [x, z] = [g.input('x', 'float32', ['N', 2]), g.input('z', 'float32', ['N', 2])];
  g.output('y', op.add(g, op.relu(g, x), op.relu(g, z)));
  return encodeModel(g.build(), new Map());
}

async function runBranches(options: SessionOptions): Promise<unknown[]> {
  const session = await createSession(branches(), options);
  const { y } = await session.run({
    x: tensor('float32', [1, 2], Float32Array.of(-1, 2)),
    z: tensor('float32', [1, 2], Float32Array.of(3, 4)),
  });
  await session.dispose();
  return [...y!.data];
}

const refusal = (options: object): OnnxGroupNormError =>
  caught(() => requireSessionOptions(options, 'cpu')) as OnnxGroupNormError;

describe("options under onnxruntime's names", () => {
  const hints: Record<string, string> = {
    executionProviders: "has no option 'executionProviders': did you mean 'providers'?; it has: providers, ",
    deviceId: "providers: [{ name: 'cuda', deviceId: 0 }]",
    enableProfiling: "'profileFilePrefix' alone asks for a profile",
    interOpNumThread: "did you mean 'interOpNumThreads'?",
  };
  for (const [name, hint] of Object.entries(hints)) {
    it(`createSession says what to write in place of ${name}`, () => {
      const error = refusal({ [name]: ['cpu'] });
      expect(error).to.be.instanceOf(OptionError).with.property('code', 'UNKNOWN_OPTION');
      expect(error.message).to.include(hint);
    });
  }

  const parallel = { executionMode: 'parallel', interOpNumThreads: 2 } as const;

  it('allowSpinning is true or false, and a session runs without on every runtime', async () => {
    expect(refusal({ allowSpinning: 'no' }).message).to.include(
      'allowSpinning must be true or false, not no',
    );
    const still = { allowSpinning: false, intraOpNumThreads: 2 };
    expect(await runBranches({ ...NODE, ...still })).to.deep.equal([3, 6]);
    expect(await runBranches({ providers: ['wasm'], ...still })).to.deep.equal([3, 6]);
    if (HAS_NATIVE) expect(await runBranches({ providers: ['native'], ...still })).to.deep.equal([3, 6]);
  });

  it('a session runs with interOpNumThreads and executionMode on onnxruntime-node and the native kernel', async () => {
    expect(await runBranches({ ...NODE, ...parallel })).to.deep.equal([3, 6]);
    if (HAS_NATIVE) expect(await runBranches({ providers: ['native'], ...parallel })).to.deep.equal([3, 6]);
  });

  it('freeDimensionOverrides fix the size of a named dimension on onnxruntime-web and the native kernel', async () => {
    for (const provider of HAS_NATIVE ? (['wasm', 'native'] as const) : (['wasm'] as const)) {
      const options = { providers: [provider], freeDimensionOverrides: { N: 1, unused: 3 } };
      expect(await runBranches(options)).to.deep.equal([3, 6]);
      const session = await createSession(branches(), options);
      const two = tensor('float32', [2, 2], new Float32Array(4));
      const error = await rejection(session.run({ x: two, z: two }));
      expect(error).to.be.instanceOf(SessionError).with.property('code', 'INPUT_SHAPE');
      await session.dispose();
    }
  });

  it('createSession names the option that a runtime does not have, and tries the next provider', async () => {
    const lacking: [SessionOptions, message: string][] = [
      [
        { ...NODE, freeDimensionOverrides: { N: 1 } },
        'onnxruntime-node cannot fix the sizes of named dimensions',
      ],
      [{ providers: ['wasm'], interOpNumThreads: 2 }, 'leave out the option interOpNumThreads'],
      [{ providers: ['wasm'], executionMode: 'parallel' }, 'leave out the option executionMode'],
    ];
    for (const [options, message] of lacking) {
      const error = await rejection(createSession(branches(), options));
      expect(error).to.be.instanceOf(SessionError).with.property('code', 'PROVIDER_UNAVAILABLE');
      expect((error as Error).message).to.include(message);
    }
    const session = await createSession(branches(), { providers: ['wasm', 'cpu'], interOpNumThreads: 2 });
    expect(session.provider).to.equal(HAS_NATIVE ? 'native' : 'cpu');
    await session.dispose();
  });

  const wrong: [object, message: string][] = [
    [{ interOpNumThreads: 0 }, 'interOpNumThreads must be an integer from 1 to 2147483647, not 0'],
    [{ executionMode: 'both' }, "executionMode 'both' is unknown; known: sequential, parallel"],
    [{ freeDimensionOverrides: null }, 'freeDimensionOverrides must be an object of sizes'],
    [{ freeDimensionOverrides: { N: -1 } }, "such as { N: 1 }; 'N' is -1"],
  ];
  for (const [options, message] of wrong) {
    it(`createSession refuses ${JSON.stringify(options)}`, () => {
      const error = refusal(options);
      expect(error).to.be.instanceOf(OptionError).with.property('code', 'INVALID_OPTION');
      expect(error.message).to.include(message);
    });
  }
});

describe('options of a provider', () => {
  it('requireSessionOptions takes a provider by its name, or with its options', () => {
    const options = [
      { name: 'cuda', deviceId: 1 },
      { name: 'coreml', coreMlFlags: 3 },
      { name: 'wasm' },
      'cpu',
    ] as const;
    const { providers, providerOptions } = requireSessionOptions({ providers: options }, 'cpu');
    expect(providers).to.deep.equal(['cuda', 'coreml', 'wasm', 'cpu']);
    expect(providerOptions.get('cuda')).to.deep.equal({ deviceId: 1 });
    expect(providerOptions.get('coreml')).to.deep.equal({ coreMlFlags: 3 });
    const webgpu = {
      preferredLayout: 'NHWC',
      forceCpuNodeNames: ['a'],
      storageBufferCacheMode: 'simple',
    } as const;
    const chosen = requireSessionOptions({ providers: [{ name: 'webgpu', ...webgpu }] }, 'cpu');
    expect(chosen.providerOptions.get('webgpu')).to.deep.equal(webgpu);
  });

  it('a session runs on a provider that is given as an object', async () => {
    for (const name of ['wasm', 'cpu'] as const) {
      expect(await runBranches({ ...NODE, providers: [{ name }] })).to.deep.equal([3, 6]);
    }
  });

  const wrong: [object, code: string, message: string][] = [
    [
      { name: 'wasm', deviceId: 1 },
      'UNKNOWN_OPTION',
      "provider 'wasm' has no option 'deviceId'; it has: none",
    ],
    [{ name: 'cpu', allowInWorker: 1 }, 'INVALID_OPTION', 'allowInWorker must be true or false, not 1'],
    [{ name: 'cuda', deviceID: 1 }, 'UNKNOWN_OPTION', "did you mean 'deviceId'?"],
    [{ name: 'cuda', deviceId: -1 }, 'INVALID_OPTION', 'deviceId must be an integer of at least 0, not -1'],
    [{ name: 'webgpu', preferredLayout: 'NHCW' }, 'INVALID_OPTION', "must be 'NCHW' or 'NHWC', not NHCW"],
    [{ name: 'webgpu', forceCpuNodeNames: 'a' }, 'INVALID_OPTION', 'must be a list of names'],
    [{ name: 'cudaa' }, 'UNKNOWN_PROVIDER', "did you mean 'cuda'"],
    [{}, 'UNKNOWN_PROVIDER', "unknown execution provider 'undefined'"],
  ];
  for (const [provider, code, message] of wrong) {
    it(`createSession refuses the provider ${JSON.stringify(provider)}`, () => {
      const error = refusal({ providers: [provider] });
      expect(error).to.have.property('code', code);
      expect(error.message).to.include(message);
    });
  }

  it('createSession refuses a provider that is listed again with options', () => {
    const error = refusal({ providers: ['cuda', { name: 'cuda', deviceId: 1 }] });
    expect(error.message).to.equal("providers lists 'cuda' twice: give its options once");
  });
});
