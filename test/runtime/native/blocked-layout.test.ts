import { expect } from 'chai';
import { it } from 'mocha';
import { toFloat64Array } from '../../../lib/half.js';
import { FUSED_DOMAIN } from '../../../lib/lowering/types.js';
import {
  type AttributeMessage,
  ATTRIBUTE_TYPE,
  ModelProto,
  type NodeMessage,
} from '../../../lib/onnx/protobuf/proto.js';
import { createSession } from '../../../lib/runtime/node.js';
import type { Shape, TensorData } from '../../../lib/tensor.js';
import { tensor } from '../../../lib/tensor.js';
import { maxAbsDifference, randomTensor, referenceGroupNorm } from '../../support/group-norm.js';
import { describeNative } from '../../support/native.js';
import { declared, intAttribute, node, smallModel } from '../../support/small-model.js';

const NATIVE = { providers: ['native'] } as const;

/** The domain of ONNX Runtime's operators in the blocked layout. */
const NCHWC = 'com.microsoft.nchwc';

const inDomain = (domain: string, one: NodeMessage): NodeMessage => ({ ...one, domain });
const floatAttribute = (name: string, f: number): AttributeMessage => ({
  name,
  type: ATTRIBUTE_TYPE.FLOAT,
  f,
});
const textAttribute = (name: string, value: string): AttributeMessage => ({
  name,
  type: ATTRIBUTE_TYPE.STRING,
  s: Buffer.from(value),
});

const reorderInput = (input: string, output: string) =>
  inDomain(NCHWC, node('ReorderInput', input, output, intAttribute('channels_last', 0)));
const reorderOutput = (input: string, output: string, channels: number) =>
  inDomain(
    NCHWC,
    node(
      'ReorderOutput',
      input,
      output,
      intAttribute('channels', channels),
      intAttribute('channels_last', 0),
    ),
  );

interface Blocked {
  readonly channels: number;
  readonly numGroups?: number;
  readonly blockSize: number;
  readonly activation?: string;
  readonly epsilon?: number;
}

const blockedNorm = (inputs: string, output: string, options: Blocked): NodeMessage =>
  inDomain(
    FUSED_DOMAIN,
    node(
      'BlockedGroupNormalization',
      inputs,
      output,
      intAttribute('num_groups', options.numGroups ?? 4),
      floatAttribute('epsilon', options.epsilon ?? 1e-5),
      intAttribute('block_size', options.blockSize),
      textAttribute('activation', options.activation ?? 'none'),
    ),
  );

/** A model whose nodes may be of these domains. */
function model(nodes: readonly NodeMessage[], shapes: Record<string, Shape>, outputShape: Shape): Uint8Array {
  const bytes = smallModel(nodes, {
    input: Object.entries(shapes).map(([name, shape]) => declared(name, 'float32', shape)),
    output: [declared('y', 'float32', outputShape)],
  });
  const message = ModelProto.decode(bytes);
  message.opsetImport.push({ domain: NCHWC, version: 1 }, { domain: FUSED_DOMAIN, version: 1 });
  return ModelProto.encode(message).finish();
}

async function run(bytes: Uint8Array, feeds: Record<string, TensorData>): Promise<TensorData> {
  await using session = await createSession(bytes, NATIVE);
  return (await session.run(feeds)).y!;
}

/** The channels of a block on this machine, or 0 where ONNX Runtime has no blocked layout. */
async function blockSize(): Promise<number> {
  const shape = [1, 32, 1, 2];
  const x = tensor(
    'float32',
    shape,
    Float32Array.from({ length: 64 }, (_, index) => index),
  );
  const y = await run(model([reorderInput('x', 'y')], { x: shape }, shape), { x }).catch(() => undefined);
  // The channels of a block lie side by side: then comes the second position of channel 0, which is element 1 of x.
  return y === undefined ? 0 : y.data.indexOf(1 as never);
}

describeNative('BlockedGroupNormalization', () => {
  it('BlockedGroupNormalization computes GroupNormalization between ReorderInput and ReorderOutput', async function () {
    const size = await blockSize();
    if (size === 0) return this.skip();
    expect(size).to.be.oneOf([8, 16]);
    const cases = [
      { dims: [2, 20, 5, 7], numGroups: 5, activation: 'none' },
      { dims: [1, 64, 9, 9], numGroups: 32, activation: 'relu' },
      { dims: [3, 40, 3, 3], numGroups: 4, activation: 'silu', residual: true },
      { dims: [1, 80, 33, 1], numGroups: 8, activation: 'none', residual: true },
      { dims: [1, 24, 40, 40], numGroups: 1, activation: 'relu', residual: true },
      { dims: [0, 24, 4, 4], numGroups: 3, activation: 'none' },
    ];
    for (const { dims, numGroups, activation, residual = false } of cases) {
      const channels = dims[1]!;
      const feeds = {
        x: randomTensor('float32', dims, { mean: 3 }),
        scale: randomTensor('float32', [channels], { stream: 'scale', mean: 1 }),
        bias: randomTensor('float32', [channels], { stream: 'bias' }),
        ...(residual && { added: randomTensor('float32', dims, { stream: 'residual' }) }),
      };
      const inputs = ['blocked', 'scale', 'bias', ...(residual ? ['blocked_added'] : [])];
      const nodes = [
        reorderInput('x', 'blocked'),
        ...(residual ? [reorderInput('added', 'blocked_added')] : []),
        blockedNorm(inputs.join(' '), 'normalized', { channels, numGroups, activation, blockSize: size }),
        reorderOutput('normalized', 'y', channels),
      ];
      const shapes = Object.fromEntries(
        Object.entries(feeds).map(([name, { dims: shape }]) => [name, shape]),
      );
      const y = await run(model(nodes, shapes, dims), feeds);
      const added = residual ? toFloat64Array(feeds.added!) : undefined;
      const expected = referenceGroupNorm({ ...feeds, numGroups, eps: Math.fround(1e-5) }).map(
        (value, index) => {
          const sum = value + (added?.[index] ?? 0);
          if (activation === 'relu') return Math.max(sum, 0);
          return activation === 'silu' ? sum / (1 + Math.exp(-sum)) : sum;
        },
      );
      expect(y.dims).to.deep.equal(dims);
      expect(maxAbsDifference(y, expected), dims.join('×')).to.be.below(4e-6);
    }
  });

  it('BlockedGroupNormalization runs in blocks of 8 and of 16 on every machine, and writes zeros into the padding', async () => {
    for (const size of [8, 16]) {
      const [channels, spatial] = [size + 3, 6];
      const x = randomTensor('float32', [1, channels, spatial], { mean: 2 });
      const blocked = new Float32Array(2 * size * spatial).fill(NaN);
      const place = (channel: number, position: number) =>
        (Math.floor(channel / size) * spatial + position) * size + (channel % size);
      for (let index = 0; index < channels * spatial; index++) {
        blocked[place(Math.floor(index / spatial), index % spatial)] = x.data[index] as number;
      }
      const shapes = { x: [1, 2 * size, spatial], scale: [channels], bias: [channels] };
      const bytes = model(
        [blockedNorm('x scale bias', 'y', { channels, numGroups: 0, blockSize: size })],
        shapes,
        shapes.x,
      );
      const y = await run(bytes, {
        x: tensor('float32', shapes.x, blocked),
        scale: tensor('float32', [channels], new Float32Array(channels).fill(1)),
        bias: tensor('float32', [channels], new Float32Array(channels)),
      });
      const expected = referenceGroupNorm({ x, numGroups: channels, eps: Math.fround(1e-5) });
      for (let channel = 0; channel < 2 * size; channel++) {
        for (let position = 0; position < spatial; position++) {
          const wanted = channel < channels ? expected[channel * spatial + position]! : 0;
          expect(y.data[place(channel, position)]).to.be.closeTo(wanted, 4e-6);
        }
      }
    }
  });

  const broken: [string, Partial<Blocked>, Record<string, Shape>, RegExp][] = [
    ['a block of 4', { blockSize: 4 }, {}, /block_size is 4; it must be 8 or 16/],
    ['-1 groups', { numGroups: -1 }, {}, /num_groups is -1/],
    ['an activation that is unknown', { activation: 'gelu' }, {}, /activation 'gelu' is unknown/],
    [
      'groups that do not divide the channels',
      { numGroups: 3 },
      {},
      /the 8 channels of scale are not divisible by num_groups 3/,
    ],
    ['too few channels in scale', {}, { scale: [7], bias: [7] }, /not divisible/],
    [
      'more channels in scale than in X',
      {},
      { scale: [12], bias: [12] },
      /X \[1, 8, 2, 2\] must have 16 channels: the 12 of scale in blocks of 8/,
    ],
    [
      'a bias of another length',
      {},
      { bias: [4] },
      /scale \[8\] and bias \[4\] must both have one element per channel/,
    ],
    [
      'a residual of other channels',
      {},
      { residual: [1, 16, 2, 2] },
      /residual \[1, 16, 2, 2\] must have the rank and the channels of X, \[1, 8, 2, 2\]/,
    ],
  ];
  for (const [what, options, changed, message] of broken) {
    it(`BlockedGroupNormalization refuses ${what}`, async () => {
      const shapes = { x: [1, 8, 2, 2], scale: [8], bias: [8], ...changed };
      const norm = blockedNorm(Object.keys(shapes).join(' '), 'y', { channels: 8, blockSize: 8, ...options });
      const feeds = Object.fromEntries(
        Object.entries(shapes).map(([name, dims]) => [name, randomTensor('float32', dims)]),
      );
      const bytes = model([norm], shapes, shapes.x);
      const error = await run(bytes, feeds).then(
        () => undefined,
        (reason: Error) => reason,
      );
      expect(error?.message).to.match(message);
    });
  }
});
