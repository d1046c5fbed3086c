import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FUSED_DOMAIN, NCHWC_DOMAIN } from '../../../lib/lowering/types.js';
import { Model } from '../../../lib/onnx/model.js';
import {
  type AttributeMessage,
  ATTRIBUTE_TYPE,
  ModelProto,
  type NodeMessage,
} from '../../../lib/onnx/protobuf/proto.js';
import { hasNormBetweenConvolutions, useBlockedLayout } from '../../../lib/rewrite/blocked/layout.js';
import { tensor } from '../../../lib/tensor.js';
import { declared, intAttribute, node, smallModel } from '../../support/small-model.js';

const text = (name: string, value: string): AttributeMessage => ({
  name,
  type: ATTRIBUTE_TYPE.STRING,
  s: Buffer.from(value),
});

/** The operators of a test's graph by short names: their domain, their name, and their attributes. */
const OPERATORS: Readonly<Record<string, readonly [string, string, ...AttributeMessage[]]>> = {
  NchwcConv: [NCHWC_DOMAIN, 'Conv'],
  NchwcUpsample: [NCHWC_DOMAIN, 'Upsample'],
  ReorderInput: [NCHWC_DOMAIN, 'ReorderInput'],
  ReorderOutput: [NCHWC_DOMAIN, 'ReorderOutput', intAttribute('channels_last', 0)],
  ReorderOutputLast: [
    NCHWC_DOMAIN,
    'ReorderOutput',
    intAttribute('channels', 32),
    intAttribute('channels_last', 1),
  ],
  Norm: [FUSED_DOMAIN, 'FusedGroupNormalization', intAttribute('num_groups', 4), text('activation', 'relu')],
  Blocked: [FUSED_DOMAIN, 'BlockedGroupNormalization'],
  GroupNormalization: ['', 'GroupNormalization', intAttribute('num_groups', 4)],
  Concat: ['', 'Concat', intAttribute('axis', 1)],
  Nearest: [
    '',
    'Resize',
    text('coordinate_transformation_mode', 'asymmetric'),
    text('nearest_mode', 'floor'),
  ],
  Resize: ['', 'Resize'],
};

/** Reads `y = Norm x scale bias`; `ReorderOutput:32` has 32 channels. */
function parse(line: string): NodeMessage {
  const [output, call] = line.split(' = ') as [string, string];
  const [operator, ...inputs] = call.split(' ') as [string, ...string[]];
  const [name, channels] = operator.split(':') as [string, string?];
  const [domain, opType, ...attributes] = OPERATORS[name] ?? ['', name];
  const all =
    channels === undefined ? attributes : [...attributes, intAttribute('channels', Number(channels))];
  return { ...node(opType, inputs.join(' '), output, ...all), domain };
}

/** Writes a node as `parse` reads it, with `ReorderOutput` as it is. */
function print({ domain, opType, inputs, outputs }: Model['nodes'][number]): string {
  const [name = opType] = Object.entries(OPERATORS).find(([, [d, o]]) => d === domain && o === opType) ?? [];
  return `${outputs.join()} = ${[name, ...inputs].join(' ')}`;
}

const ONES = (length: number) => tensor('float32', [length], new Float32Array(length).fill(1));

/** A graph with the inputs x (blocked), p (plain, 32 channels) and q (20 channels); s32 and s20 are scales. */
function graph(lines: readonly string[], outputs: readonly string[] = ['y']): Model {
  const bytes = smallModel(lines.map(parse), {
    input: [
      declared('x', 'float32', ['N', 'P', 'H', 'W']),
      declared('p', 'float32', ['N', 32, 'H', 'W']),
      declared('q', 'float32', ['N', 20, 'H', 'W']),
      declared('odd', 'float32', ['N', 18, 'H', 'W']),
      declared('line', 'float32', ['N', 32, 'W']),
    ],
    output: outputs.map((name) => declared(name, 'float32', ['N', 'C', 'H', 'W'])),
    weights: {
      ...{ s32: ONES(32), s20: ONES(20), s64: ONES(64), s18: ONES(18), perGroup: ONES(4) },
      w: tensor('float32', [32, 32, 1, 1], new Float32Array(1024)),
      line_w: tensor('float32', [32, 32, 1], new Float32Array(1024)),
      scales: tensor('float32', [4], Float32Array.of(1, 1, 2, 2)),
      odd_scales: tensor('float32', [4], Float32Array.of(1, 1, 1.5, 2)),
    },
  });
  const message = ModelProto.decode(bytes);
  message.opsetImport.push({ domain: NCHWC_DOMAIN, version: 1 });
  return Model.decode(ModelProto.encode(message).finish());
}

function rewritten(lines: readonly string[], outputs?: readonly string[], block = 16): readonly string[] {
  const model = graph(lines, outputs);
  useBlockedLayout(model, block);
  return Model.decode(model.encode()).nodes.map(print);
}

function expectPlain(lines: readonly string[]): void {
  const model = graph(lines);
  const before = model.nodes.map(print);
  expect(useBlockedLayout(model, 16)).to.equal(0);
  expect(model.nodes.map(print)).to.deep.equal(before);
}

describe('useBlockedLayout', () => {
  it('useBlockedLayout takes the reorders away between a convolution, a GroupNorm and a convolution', () => {
    const lines = [
      'a = ReorderOutput:32 x',
      'n = Norm a s32 s32',
      'b = ReorderInput n',
      'c = NchwcConv b w',
      'y = ReorderOutput:32 c',
    ];
    expect(rewritten(lines)).to.deep.equal([
      'b = Blocked x s32 s32',
      'c = NchwcConv b w',
      'y = ReorderOutput c',
    ]);
  });

  it('useBlockedLayout writes the groups, epsilon, the activation and the block of each GroupNorm', () => {
    const lines = ['a = ReorderOutput:32 x', 'n = Norm a s32 s32', 'b = ReorderInput n', 'y = NchwcConv b w'];
    const model = graph(lines);
    expect(useBlockedLayout(model, 8)).to.equal(1);
    const [norm] = model.nodes;
    expect(norm!.opType).to.equal('BlockedGroupNormalization');
    expect(norm!.number('num_groups')).to.equal(4);
    expect(norm!.number('epsilon')).to.equal(Math.fround(1e-5));
    expect(norm!.number('block_size')).to.equal(8);
    expect(norm!.text('activation')).to.equal('relu');
  });

  it('useBlockedLayout reorders once a tensor that several nodes and the caller read in plain layout', () => {
    const lines = [
      'a = ReorderOutput:32 x',
      'n = GroupNormalization a s32 s32',
      'b = ReorderInput n',
      'c = NchwcConv b w',
      'd = ReorderOutput:32 c',
      'm = Norm d s32 s32',
      'e = ReorderInput m',
      'z = NchwcConv e w',
      'y = Softmax m',
    ];
    expect(rewritten(lines, ['y', 'm', 'z'])).to.deep.equal([
      'b = Blocked x s32 s32',
      'c = NchwcConv b w',
      'e = Blocked c s32 s32',
      'm = ReorderOutput e',
      'z = NchwcConv e w',
      'y = Softmax m',
    ]);
  });

  it('useBlockedLayout adds a residual that another GroupNorm or a convolution leaves blocked', () => {
    const lines = [
      'a = ReorderOutput:32 x',
      'n = GroupNormalization a s32 s32',
      'c = ReorderOutput:32 other',
      'r = Norm c s32 s32 n',
      'b = ReorderInput r',
      'd = NchwcConv b w',
      'e = ReorderOutput:32 d',
      'm = Norm e s32 s32 a',
      'f = ReorderInput m',
      'y = NchwcConv f w',
    ];
    expect(rewritten(lines)).to.deep.equal([
      'n/blocked = Blocked x s32 s32',
      'b = Blocked other s32 s32 n/blocked',
      'd = NchwcConv b w',
      'f = Blocked d s32 s32 x',
      'y = NchwcConv f w',
    ]);
  });

  it('useBlockedLayout reorders a residual in plain layout where that saves two reorders', () => {
    const lines = [
      'a = ReorderOutput:32 x',
      'n = Norm a s32 s32 p',
      'b = ReorderInput n',
      'y = NchwcConv b w',
    ];
    expect(rewritten(lines)).to.deep.equal([
      'p/blocked = ReorderInput p',
      'b = Blocked x s32 s32 p/blocked',
      'y = NchwcConv b w',
    ]);
  });

  it('useBlockedLayout takes the reorder of a residual that is there already, wherever it stands', () => {
    const lines = [
      'a = ReorderOutput:32 x',
      'n = Norm a s32 s32 p',
      'b = ReorderInput n',
      'i = ReorderInput p',
      'y = NchwcConv b i',
    ];
    expect(rewritten(lines)).to.deep.equal([
      'i = ReorderInput p',
      'b = Blocked x s32 s32 i',
      'y = NchwcConv b i',
    ]);
  });

  it('useBlockedLayout keeps element-wise operators, sums and Concat of whole blocks between the reorders blocked', () => {
    const lines = [
      'a = ReorderOutput:32 x',
      'n = Norm a s32 s32',
      'l = LeakyRelu n',
      'k = Concat l a',
      'b = ReorderInput k',
      'y = NchwcConv b w',
    ];
    expect(rewritten(lines)).to.deep.equal([
      'n/blocked = Blocked x s32 s32',
      'l/blocked = LeakyRelu n/blocked',
      'b = Concat l/blocked x',
      'y = NchwcConv b w',
    ]);
  });

  it('useBlockedLayout adds in the shape of the memory, because sizes of 1 may repeat at run time', () => {
    const lines = [
      'a = ReorderOutput:20 x',
      'n = Norm a s20 s20',
      'c = ReorderOutput:20 other',
      'm = Add n c',
      'b = ReorderInput m',
      'y = NchwcConv b w',
    ];
    const model = graph(lines);
    useBlockedLayout(model, 16);
    expect(model.nodes.map(print)).to.deep.equal([
      'n/blocked = Blocked x s20 s20',
      'n/split = Reshape n/blocked m/split',
      'c/split = Reshape other m/split',
      'm/result = Add n/split c/split',
      'b = Reshape m/result m/whole',
      'y = NchwcConv b w',
    ]);
    expect([...(model.constant('m/split')?.data ?? [])]).to.deep.equal([0n, 2n, 0n, 0n, 16n]);
    expect([...(model.constant('m/whole')?.data ?? [])]).to.deep.equal([0n, 32n, 0n, 0n]);
  });

  it('useBlockedLayout writes Resize that repeats elements as Upsample of the layout', () => {
    const lines = (resize: string) => [
      'a = ReorderOutput:32 x',
      'n = Norm a s32 s32',
      `u = ${resize}`,
      'b = ReorderInput u',
      'y = NchwcConv b w',
    ];
    expect(rewritten(lines('Nearest n roi scales'))).to.deep.equal([
      'n/blocked = Blocked x s32 s32',
      'b = NchwcUpsample n/blocked',
      'y = NchwcConv b w',
    ]);
    expectPlain(lines('Nearest n roi odd_scales'));
    expectPlain(lines('Nearest n roi unknown'));
    expectPlain(lines('Resize n roi scales'));
  });

  it('useBlockedLayout enters the layout with the tensors of a Concat that are plain, if that is less', () => {
    const lines = [
      'a = ReorderOutput:32 x',
      'n = Norm a s32 s32',
      'c = ReorderInput n',
      'd = NchwcConv c w',
      'k = Concat p n',
      'b = ReorderInput k',
      'y = NchwcConv b d',
    ];
    expect(rewritten(lines)).to.deep.equal([
      'c = Blocked x s32 s32',
      'd = NchwcConv c w',
      'p/blocked = ReorderInput p',
      'b = Concat p/blocked c',
      'y = NchwcConv b d',
    ]);
  });

  it('useBlockedLayout leaves a Concat plain whose tensors do not fill their blocks', () => {
    const lines = [
      'a = ReorderOutput:20 x',
      'n = Norm a s20 s20',
      'c = ReorderInput n',
      'd = NchwcConv c w',
      'k = Concat n p',
      'b = ReorderInput k',
      'y = NchwcConv b d',
    ];
    expect(rewritten(lines)).to.deep.equal([
      'c = Blocked x s20 s20',
      'n = ReorderOutput c',
      'd = NchwcConv c w',
      'k = Concat n p',
      'b = ReorderInput k',
      'y = NchwcConv b d',
    ]);
  });

  const plain: Record<string, readonly string[]> = {
    'only its input is blocked': ['a = ReorderOutput:32 x', 'n = Norm a s32 s32', 'y = Softmax n'],
    'only its reader is blocked': ['n = Norm p s32 s32', 'b = ReorderInput n', 'y = NchwcConv b w'],
    'it reads and makes plain tensors': ['n = Norm p s32 s32', 'm = Norm n s32 s32', 'y = Add m n'],
    'its scale is one for each group': [
      'a = ReorderOutput:32 x',
      'n = GroupNormalization a perGroup perGroup',
      'b = ReorderInput n',
      'y = NchwcConv b w',
    ],
    'the shape of its scale is unknown': [
      'a = ReorderOutput:32 x',
      's = Unknown s32',
      'n = Norm a s s32',
      'b = ReorderInput n',
      'y = NchwcConv b w',
    ],
    'the reorder is to channels last': [
      'a = ReorderOutputLast x',
      'n = Norm a s32 s32',
      'b = ReorderInput n',
      'y = NchwcConv b w',
    ],
    'its input has another rank': ['n = Norm line s32 s32', 'b = ReorderInput n', 'y = NchwcConv b w'],
    'ONNX Runtime cannot reorder the channels of its residual': [
      'a = ReorderOutput:18 x',
      'n = Norm a s18 s18 odd',
      'b = ReorderInput n',
      'y = NchwcConv b w',
    ],
  };
  for (const [reason, lines] of Object.entries(plain)) {
    it(`useBlockedLayout leaves a GroupNorm as it is if ${reason}`, () => expectPlain(lines));
  }

  it('useBlockedLayout leaves GroupNorms plain as a group if that is no more reorders, though not one by one', () => {
    const lines = ['n = Norm p s32 s32', 'm = Norm p s32 s32', 's = Add n m', 'y = Softmax s'];
    expectPlain(lines);
  });
});

describe('hasNormBetweenConvolutions', () => {
  const cases: readonly (readonly [string, boolean, readonly string[]])[] = [
    ['between two convolutions', true, ['a = Conv p w', 'n = Norm a s32 s32', 'y = Conv n w']],
    [
      'behind a sum and before a pool and a convolution',
      true,
      ['a = Conv p w', 'b = Add a p', 'n = GroupNormalization b s32 s32', 'c = MaxPool n', 'y = Conv c w'],
    ],
    ['as the residual of another', true, ['a = Conv p w', 'n = Norm p s32 s32 a', 'y = Conv n w']],
    ['behind the only convolution', false, ['a = Conv p w', 'y = Norm a s32 s32']],
    ['before the only convolution', false, ['n = Norm p s32 s32', 'y = Conv n w']],
    [
      'behind an operator that needs plain tensors',
      false,
      ['a = Conv p w', 'b = Softmax a', 'n = Norm b s32 s32', 'y = Conv n w'],
    ],
    [
      'between convolutions with one spatial dimension',
      false,
      ['a = Conv line line_w', 'n = Norm a s32 s32', 'y = Conv n line_w'],
    ],
    ['in a model without convolutions', false, ['n = Norm p s32 s32', 'y = Relu n']],
  ];
  for (const [where, expected, lines] of cases) {
    it(`hasNormBetweenConvolutions is ${expected} for a GroupNorm ${where}`, () =>
      expect(hasNormBetweenConvolutions(graph(lines))).to.equal(expected));
  }
});
