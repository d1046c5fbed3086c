import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import * as layers from '../../../graphs/layers/index.js';
import { OptionError, SessionError } from '../../../lib/errors.js';
import { temporaryName } from '../../../lib/files/temporary.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Value } from '../../../lib/graph/types.js';
import { encodeModel, encodeModelExternal } from '../../../lib/onnx/encode.js';
import { ATTRIBUTE_TYPE, ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import type { Layout, Session, SessionOptions } from '../../../lib/runtime/core/contract.js';
import type { Addon, AddonSessionOptions } from '../../../lib/runtime/native/addon.js';
import { loadInLayout } from '../../../lib/runtime/native/layout.js';
import { createSession } from '../../../lib/runtime/node.js';
import { type Shape, tensor } from '../../../lib/tensor.js';
import { initializeWeights } from '../../../lib/weights/initialize.js';
import { expectSameInBothLayouts, relativeDifference } from '../../support/layouts.js';
import { modelToLoad } from '../../support/model-to-load.js';
import { describeNative } from '../../support/native.js';
import { randomNetwork, uniformTensor } from '../../support/random-network.js';
import { declared, node, smallModel } from '../../support/small-model.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';
import { withoutShapes } from '../../support/without-shapes.js';

const NATIVE: SessionOptions = { providers: ['native'] };

type Body = (g: GraphBuilder, x: Value, z: Value) => void;

/** A graph with the inputs x and z, of 16 channels. */
function graphOf(body: Body, shape: Shape = ['N', 16, 'H', 'W']) {
  const g = new GraphBuilder('test');
  body(g, g.input('x', 'float32', shape), g.input('z', 'float32', shape));
  return g.build();
}

function modelOf(body: Body, shape?: Shape): Uint8Array {
  const graph = graphOf(body, shape);
  return encodeModel(graph, initializeWeights(graph), { opset: 21, lowering: 'op' });
}

const conv = (g: GraphBuilder, name: string, x: Value) =>
  layers.conv(g.scope(name), x, { outChannels: 16, kernelSize: 3, padding: 1 });
const norm = (g: GraphBuilder, name: string, x: Value) =>
  layers.groupNorm(g.scope(name), x, { numGroups: 4 });

/** A GroupNorm between two convolutions, which also read z. */
const BETWEEN: Body = (g, x, z) => {
  const hidden = op.relu(g, norm(g, 'norm', conv(g, 'first', op.add(g, x, z))));
  g.output('y', conv(g, 'second', hidden));
};

/** The message of ONNX Runtime where a disk is full. */
const NO_SPACE =
  '/src/graph.cc:5355 onnx::GraphProto Graph::ToGraphProto() const ' +
  '[ONNXRuntimeError] : 1 : FAIL : graph.cc:5280 Add Failed to write to file: "w.bin"\n';

const FEEDS = {
  x: uniformTensor('x', [2, 16, 7, 9]),
  z: uniformTensor('z', [2, 16, 7, 9]),
};

async function withSession<T>(
  model: string | Uint8Array,
  options: SessionOptions,
  action: (session: Session) => Promise<T> | T,
): Promise<T> {
  await using session = await createSession(model, { ...NATIVE, ...options });
  return await action(session);
}

/** Returns the name of a temporary folder of a process on this machine that has ended. */
function leftover(folder: string): string {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  return temporaryName(folder).replace(`.${process.pid}.`, `.${pid}.`);
}

const layoutOf = (model: string | Uint8Array, options: SessionOptions = {}) =>
  withSession(model, options, ({ layout, layoutReason }) => [layout, layoutReason]);

describeNative("createSession's option layout", function () {
  this.timeout(30_000);
  const temporary = temporaryFolder();

  it('createSession runs a GroupNorm between convolutions in blocked layout, and says so', async () => {
    const model = modelOf(BETWEEN);
    expect(await layoutOf(model)).to.deep.equal(['blocked', undefined]);
    expect(await layoutOf(model, { layout: 'blocked' })).to.deep.equal(['blocked', undefined]);
    expect(await layoutOf(model, { layout: 'plain' })).to.deep.equal(['plain', undefined]);
  });

  for (let seed = 0; seed < 8; seed++) {
    it(`createSession computes the same in both layouts: random network ${seed}`, () =>
      expectSameInBothLayouts(randomNetwork(seed, seed % 2 === 0), {
        x: uniformTensor('x', [2, 3, 9, 11]),
        z: uniformTensor('z', [2, 16, 9, 11]),
      }));
  }

  it('createSession repeats a residual whose sizes are 1 at run time in both layouts', async () => {
    const model = modelOf((g, x, z) => {
      const sum = op.add(g, norm(g, 'norm', conv(g, 'first', x)), z);
      g.output('y', conv(g, 'last', op.relu(g, sum)));
    });
    await expectSameInBothLayouts(model, { ...FEEDS, z: uniformTensor('one', [1, 16, 7, 1]) }, 'blocked');
  });

  it('createSession keeps the outputs that a caller reads between blocked operators', () =>
    expectSameInBothLayouts(
      modelOf((g, x, z) => {
        const hidden = norm(g, 'norm', conv(g, 'first', x));
        g.output('hidden', hidden);
        const last = conv(g, 'second', op.relu(g, norm(g, 'again', conv(g, 'middle', hidden))));
        g.output('y', op.add(g, last, z));
      }),
      FEEDS,
      'blocked',
    ));

  it('createSession gives a body of If the values that it reads in plain layout', async () => {
    const message = ModelProto.decode(
      modelOf((g, x, z) => {
        const hidden = op.relu(g, norm(g, 'norm', conv(g, 'first', op.add(g, x, z))));
        g.output('y', conv(g, 'second', hidden));
        g.output('w', op.relu(g, x));
      }),
    );
    const { graph } = message;
    const relu = graph!.node!.find(({ opType, input }) => opType === 'Relu' && input![0] !== 'x')!;
    const inner = relu.output![0]!;
    const identity = (name: string, value: string) => ({
      name,
      type: ATTRIBUTE_TYPE.GRAPH,
      g: {
        name,
        node: [{ opType: 'Identity', input: [value], output: [`${name}/out`] }],
        output: [{ name: `${name}/out`, type: { tensorType: { elemType: 1 } } }],
      },
    });
    graph!.node!.find(({ output }) => output![0] === 'w')!.output = ['unused'];
    graph!.initializer!.push({ name: 'yes', dataType: 9, dims: [], int32Data: [1] });
    graph!.node!.push({
      opType: 'If',
      input: ['yes'],
      output: ['w'],
      attribute: [identity('then_branch', inner), identity('else_branch', 'x')],
    });
    await expectSameInBothLayouts(ModelProto.encode(message).finish(), FEEDS);
  });

  it('createSession computes the same in both layouts with sizes that the options fix', () =>
    expectSameInBothLayouts(modelOf(BETWEEN), FEEDS, 'blocked', { freeDimensionOverrides: { N: 2, H: 7 } }));

  it('createSession describes an output whose rank the model leaves open the same in both layouts', () => {
    const nodes = [
      node('Conv', 'x w', 'first'),
      node('Shape', 'first', 'sizes'),
      node('Reshape', 'first grouped', 'rows'),
      node('InstanceNormalization', 'rows one zero', 'normalized'),
      node('Reshape', 'normalized sizes', 'whole'),
      node('Mul', 'whole scale', 'scaled'),
      node('Add', 'scaled bias', 'norm'),
      node('HardSwish', 'norm', 'hidden'),
      node('Conv', 'hidden last', 'y'),
    ];
    const model = smallModel(nodes, {
      input: [declared('x', 'float32', ['N', 16, 'H', 'W'])],
      output: [declared('y', 'float32', [])],
      weights: {
        w: uniformTensor('w', [16, 16, 1, 1]),
        last: uniformTensor('last', [1, 16, 1, 1]),
        grouped: tensor('int64', [3], BigInt64Array.of(0n, 4n, -1n)),
        one: uniformTensor('one', [4], 1, 1),
        zero: uniformTensor('zero', [4], 0, 0),
        scale: uniformTensor('scale', [16, 1, 1]),
        bias: uniformTensor('bias', [16, 1, 1]),
      },
    });
    return expectSameInBothLayouts(withoutShapes(model, ['y']), FEEDS, 'blocked');
  });

  it('run computes the same in both layouts when it asks for some outputs', async () => {
    const model = modelOf((g, x, z) => {
      const hidden = conv(g, 'second', op.relu(g, norm(g, 'norm', conv(g, 'first', x))));
      g.output('y', hidden);
      g.output('other', op.mul(g, hidden, z));
    });
    const run = (layout: Layout) =>
      withSession(model, { layout }, async (session) => (await session.run(FEEDS, { fetches: ['y'] })).y!);
    const [plain, blocked] = [await run('plain'), await run('blocked')];
    expect(relativeDifference(plain, blocked)).to.be.below(1e-5);
  });

  it('createSession finds the external data of a model in blocked layout', async () => {
    const path = temporary('model.onnx');
    const graph = graphOf(BETWEEN);
    const { model, data } = encodeModelExternal(graph, initializeWeights(graph), 'w.bin', {
      opset: 21,
      lowering: 'op',
    });
    await writeFile(path, model);
    await writeFile(temporary('w.bin'), data);
    await expectSameInBothLayouts(path, FEEDS, 'blocked');
  });

  it('createSession writes one profile, of the blocked operators', async () => {
    const prefix = temporary('profile');
    await withSession(modelOf(BETWEEN), { profileFilePrefix: prefix }, (session) => session.run(FEEDS));
    const files = (await readdir(temporary())).filter((name) => name.startsWith('profile'));
    expect(files).to.have.length(1);
    expect(await readFile(temporary(files[0]!), 'utf8')).to.include('BlockedGroupNormalization');
  });

  describe('in plain layout', () => {
    const cases: Record<string, [Uint8Array, SessionOptions, RegExp]> = {
      'there is no GroupNorm': [
        modelOf((g, x, z) => g.output('y', conv(g, 'second', op.add(g, conv(g, 'first', x), z)))),
        {},
        /^the model has no GroupNorm between 2-D convolutions$/,
      ],
      'there is nothing to save': [
        modelOf((g, x, z) => {
          const softmax = (value: Value) => op.softmax(g, value, { axis: 1 });
          const sum = op.add(g, op.add(g, norm(g, 'norm', conv(g, 'first', x)), softmax(x)), softmax(z));
          g.output('y', conv(g, 'second', sum));
        }),
        {},
        /^ONNX Runtime runs no convolutions around a GroupNorm of this model in blocked layout$/,
      ],
      'the convolutions have one spatial dimension': [
        modelOf((g, x, z) => BETWEEN(g, x, z), ['N', 16, 'W']),
        {},
        /^the model has no GroupNorm between 2-D convolutions$/,
      ],
      'the convolutions have three spatial dimensions': [
        modelOf((g, x, z) => BETWEEN(g, x, z), ['N', 16, 'D', 'H', 'W']),
        {},
        /^the model has no GroupNorm between 2-D convolutions$/,
      ],
      'ONNX Runtime may not optimize enough': [
        modelOf(BETWEEN),
        { graphOptimizationLevel: 'extended' },
        /graphOptimizationLevel 'all' only/,
      ],
    };
    for (const [reason, [model, options, message]] of Object.entries(cases)) {
      it(`createSession runs a model in plain layout, and says why, if ${reason}`, async () => {
        const [layout, layoutReason] = await layoutOf(model, options);
        expect(layout).to.equal('plain');
        expect(layoutReason).to.match(message);
      });

      it(`createSession refuses layout 'blocked' if ${reason}`, async () => {
        const error = await rejection(createSession(model, { ...NATIVE, ...options, layout: 'blocked' }));
        expect(error).to.be.an.instanceOf(SessionError).with.property('code', 'LAYOUT_UNAVAILABLE');
        expect(String(error)).to.match(/layout 'blocked' is not possible: .*Use layout 'auto'/);
      });
    }

    it("createSession passes over a provider that has no blocked layout, for layout 'blocked'", async () => {
      const model = modelOf(BETWEEN);
      const error = await rejection(createSession(model, { providers: ['wasm'], layout: 'blocked' }));
      expect(error).to.be.an.instanceOf(SessionError).with.property('code', 'PROVIDER_UNAVAILABLE');
      await withSession(model, { providers: ['wasm', 'native'], layout: 'blocked' }, ({ provider, layout }) =>
        expect([provider, layout]).to.deep.equal(['native', 'blocked']),
      );
    });

    it('createSession names the provider that has plain layout only', async () => {
      expect(await layoutOf(modelOf(BETWEEN), { providers: ['wasm'] })).to.deep.equal([
        'plain',
        "the provider 'wasm' has plain layout only",
      ]);
    });

    it('createSession refuses a layout that does not exist', async () => {
      const error = await rejection(createSession(modelOf(BETWEEN), { layout: 'nhwc' as Layout }));
      expect(error).to.be.an.instanceOf(OptionError);
      expect(String(error)).to.include("layout 'nhwc' is unknown; known: auto, plain, blocked");
    });
  });

  describe('with temporary files', () => {
    let before: string | undefined;
    beforeEach(() => (before = process.env.TMPDIR));
    afterEach(() => {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    });

    it('createSession leaves no temporary file behind, also not of a process that was killed', async () => {
      process.env.TMPDIR = temporary();
      await mkdir(leftover(temporary()));
      await withSession(modelOf(BETWEEN), {}, async ({ layout }) => {
        expect(layout).to.equal('blocked');
        expect(await readdir(temporary())).to.deep.equal([]);
      });
    });

    it('createSession runs a model in plain layout, and says why, if there is no folder for temporary files', async () => {
      process.env.TMPDIR = temporary('missing');
      const [layout, layoutReason] = await layoutOf(modelOf(BETWEEN));
      expect(layout).to.equal('plain');
      expect(layoutReason).to.match(/^loading for the blocked layout failed: ENOENT/);
    });

    it('loadInLayout gives the reason in one line if ONNX Runtime cannot write a file, and the next session is blocked', async () => {
      const session = { inputs: [], outputs: [], dispose: () => undefined };
      const createSession = (
        _: Uint8Array,
        { graphOptimizationLevel, optimizedModelPath }: AddonSessionOptions,
      ) =>
        graphOptimizationLevel === 99 && optimizedModelPath === ''
          ? Promise.resolve(session)
          : Promise.reject(new Error(NO_SPACE));
      const model = modelOf(BETWEEN);
      const { layout, layoutReason } = await loadInLayout(
        { createSession } as unknown as Addon,
        { ...modelToLoad(model), hasNormBetweenConvolutions: true },
        undefined,
        { graphOptimizationLevel: 99, optimizedModelPath: '' } as AddonSessionOptions,
        'auto',
      );
      expect(layout).to.equal('plain');
      expect(layoutReason).to.equal(
        'loading for the blocked layout failed: graph.cc:5280 Add Failed to write to file: "w.bin"',
      );
      expect(await layoutOf(model)).to.deep.equal(['blocked', undefined]);
    });
  });
});
