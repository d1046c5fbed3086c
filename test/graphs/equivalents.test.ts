import { basename } from 'node:path';
import { expect, use } from 'chai';
import { describe, it } from 'mocha';
import type { InputType } from '../../graphs/shared/definition.js';
import {
  type EquivalentOptions,
  instanceNormEquivalent,
  layerNormEquivalent,
} from '../../graphs/equivalents.js';
import onnxMatchers from '../../lib/chai.js';
import { GraphError, OptionError } from '../../lib/errors.js';
import type { Graph } from '../../lib/graph/types.js';
import { toFloat64Array } from '../../lib/half.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import type { Fixture } from '../../lib/parity/fixture.js';
import { readFixture } from '../../lib/parity/node.js';
import { createSession } from '../../lib/runtime/node.js';
import type { TensorData } from '../../lib/tensor.js';
import { matchStateDict } from '../../lib/weights/state-dict.js';
import { parityFixtures } from '../support/fixtures.js';
import { maxAbsDifference, randomTensor } from '../support/group-norm.js';
import { shapesOf } from './support.js';

use(onnxMatchers);

async function run(
  graph: Graph,
  stateDict: ReadonlyMap<string, TensorData>,
  x: TensorData,
): Promise<TensorData> {
  const session = await createSession(encodeModel(graph, matchStateDict(graph, stateDict)));
  try {
    return (await session.run({ x })).y!;
  } finally {
    await session.dispose();
  }
}

/** PyTorch's GroupNorm, of which those with one group, or a group per channel, are cases here too. */
const FIXTURES = await Promise.all(parityFixtures('group-norm').map(readFixture));

const EQUIVALENTS = [
  {
    name: 'layerNormEquivalent',
    pair: (options: EquivalentOptions, input?: InputType) => {
      const { groupNorm, layerNorm } = layerNormEquivalent(options, input);
      return [groupNorm, layerNorm] as const;
    },
    opType: 'LayerNormalization',
    groups: () => 1,
    shapes: [
      [2, 6],
      [2, 6, 9],
      [2, 6, 4, 5],
      [1, 6, 3, 4, 5],
    ],
  },
  {
    name: 'instanceNormEquivalent',
    pair: (options: EquivalentOptions, input?: InputType) => {
      const { groupNorm, instanceNorm } = instanceNormEquivalent(options, input);
      return [groupNorm, instanceNorm] as const;
    },
    opType: 'InstanceNormalization',
    groups: (channels: number) => channels,
    shapes: [
      [2, 6, 9],
      [2, 6, 4, 5],
      [1, 6, 3, 4, 5],
    ],
  },
];

for (const { name, pair, opType, groups, shapes } of EQUIVALENTS) {
  describe(name, () => {
    it(`the equivalent of ${opType} has GroupNorm and ${opType} with the same input, output and parameters`, () => {
      const [groupNorm, other] = pair({ numChannels: 6 });
      expect(groupNorm.nodes.map((node) => node.opType)).to.deep.equal(['GroupNormalization']);
      expect(groupNorm.nodes[0]!.attributes.num_groups!.value).to.equal(groups(6));
      expect(other.nodes.map((node) => node.opType))
        .to.include(opType)
        .and.not.include('GroupNormalization');
      for (const graph of [groupNorm, other]) {
        expect(shapesOf(graph.inputs)).to.deep.equal({ x: ['N', 6, 'H', 'W'] });
        expect(shapesOf(graph.outputs)).to.deep.equal({ y: ['N', 6, 'H', 'W'] });
        expect(shapesOf(graph.parameters)).to.deep.equal({ weight: [6], bias: [6] });
      }
      expect(pair({ numChannels: 6, affine: false })[1].parameters).to.deep.equal([]);
    });

    for (const dims of shapes) {
      for (const affine of [true, false]) {
        it(`GroupNorm and ${opType} give the same for [${dims.join(', ')}] ${affine ? 'with' : 'without'} parameters`, async () => {
          const x = randomTensor('float32', dims, { mean: 1 });
          const stateDict = new Map(
            affine
              ? ['weight', 'bias'].map((stream) => [stream, randomTensor('float32', [6], { stream })])
              : [],
          );
          const [groupNorm, other] = pair({ numChannels: 6, affine, eps: 1e-3 }, { shape: dims });
          const [a, b] = [await run(groupNorm, stateDict, x), await run(other, stateDict, x)];
          // Values up to 10, so a few float32 roundings of 10 · 2⁻²⁴.
          expect(maxAbsDifference(a, toFloat64Array(b))).to.be.below(5e-6);
        });
      }
    }

    it(`the equivalent of ${opType} refuses what its GroupNorm refuses`, () => {
      expect(() => pair({ numChannels: 0 })).to.throw(GraphError, 'at least 1');
      expect(() => pair({ numChannels: 6 }, { shape: ['N', 4, 9] })).to.throw(GraphError, 'numChannels is 6');
      expect(() => pair({ numChannels: 6 }, { shape: [6] })).to.throw(GraphError, 'rank 1');
    });

    describe(`${opType} gives what PyTorch's GroupNorm gives`, () => {
      const least = opType === 'InstanceNormalization' ? 3 : 2;
      for (const fixture of FIXTURES) {
        const x = fixture.inputs.get('x')!;
        if (x.dims.length < least || fixture.options.numGroups !== groups(x.dims[1]!)) continue;
        it(basename(fixture.file, '.safetensors'), () => expectParity(fixture, pair));
      }
    });
  });
}

describe('the options of both equivalents', () => {
  it('layerNormEquivalent and instanceNormEquivalent refuse an unknown option, and missing options', () => {
    for (const build of [layerNormEquivalent, instanceNormEquivalent]) {
      expect(() => build({ numChannels: 4, numGroups: 2 } as EquivalentOptions)).to.throw(
        OptionError,
        `${build.name} has no option 'numGroups'`,
      );
      expect(() => build(undefined as never)).to.throw(OptionError, `${build.name} takes an object`);
    }
  });
});

async function expectParity(fixture: Fixture, pair: (typeof EQUIVALENTS)[number]['pair']): Promise<void> {
  const { numChannels, eps, affine } = fixture.options as unknown as Required<EquivalentOptions>;
  const x = fixture.inputs.get('x')!;
  const [, other] = pair({ numChannels, eps, affine }, { shape: x.dims, dtype: x.dtype });
  const actual = await run(other, fixture.stateDict, x);
  const { rtol, atol } = fixture;
  expect(actual).to.matchTensor(fixture.outputs.get('y'), { rtol, atol });
}
