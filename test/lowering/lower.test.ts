import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as attr from '../../lib/graph/attr.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Attributes, Graph, Value } from '../../lib/graph/types.js';
import { lowerGraph } from '../../lib/lowering/lower.js';
import { LOWERING_NAMES } from '../../lib/lowering/types.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { createSession } from '../../lib/runtime/node.js';
import type { FloatDType, Shape } from '../../lib/tensor.js';
import { expectGraphError } from '../graph/support.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
  runModel,
} from '../support/group-norm.js';

interface Options {
  readonly shape?: Shape;
  readonly numGroups?: number;
  readonly affine?: boolean;
  readonly dtype?: FloatDType;
}

function oneNorm({
  shape = ['N', 8, 4, 4],
  numGroups = 2,
  affine = true,
  dtype = 'float32',
}: Options = {}): Graph {
  const g = new GraphBuilder('test');
  const norm = g.scope('enc1.norm');
  const x = g.input('x', dtype, shape);
  const parameter = (name: string) => (affine ? norm.parameter(name, { dtype, shape: [8] }) : undefined);
  g.output('y', op.groupNormalization(norm, x, parameter('weight'), parameter('bias'), { numGroups }));
  return g.build();
}

const opTypes = (graph: Graph): string[] => graph.nodes.map(({ opType }) => opType);
const count = (graph: Graph, opType: string): number =>
  opTypes(graph).filter((type) => type === opType).length;

/** A GroupNormalization that was put together by hand, as `Scope.node` takes it. */
function byHand(
  attributes: Attributes,
  inputs?: (g: GraphBuilder, x: Value) => (Value | undefined)[],
): Graph {
  const g = new GraphBuilder('test');
  const x = g.input('x', 'float32', ['N', 8, 4, 4]);
  const type = { dtype: x.dtype, shape: x.shape };
  const [y] = g.scope('norm').node('GroupNormalization', inputs?.(g, x) ?? [x], attributes, [type]);
  g.output('y', y!);
  return g.build();
}

describe('lowering a GroupNormalization that the caller put together', () => {
  it("lowerGraph gives GroupNormalization ONNX's epsilon of 1e-5 by default", async () => {
    const x = randomTensor('float32', [1, 8, 4, 4]);
    const given = byHand({ num_groups: attr.int(2), epsilon: attr.float(1e-5) });
    for (const lowering of LOWERING_NAMES) {
      const [absent, same] = [byHand({ num_groups: attr.int(2) }), given].map((graph) =>
        encodeModel(graph, new Map(), { opset: 21, lowering }),
      );
      expect(absent).to.deep.equal(same);
    }
    const y = await runModel(encodeModel(byHand({ num_groups: attr.int(2) }), new Map()), x);
    expect(maxAbsDifference(y, referenceGroupNorm({ x, numGroups: 2, eps: 1e-5 }))).to.be.below(1e-5);
  });

  it('lowerGraph refuses an invalid GroupNormalization', () => {
    const lower = (graph: Graph) => () => lowerGraph(graph, 'op', 21);
    const two = { num_groups: attr.int(2) };
    const norm = "GroupNormalization '/norm/GroupNormalization'";
    expectGraphError(
      lower(byHand({})),
      'INVALID_ATTRIBUTE',
      `${norm}: its attribute num_groups must be an attr.int`,
    );
    expectGraphError(
      lower(byHand({ ...two, epsilon: attr.int(1) })),
      'INVALID_ATTRIBUTE',
      `${norm}: its attribute epsilon must be an attr.float`,
    );
    expectGraphError(lower(byHand({ num_groups: attr.int(3) })), 'NUM_GROUPS_MISMATCH', norm, '1, 2, 4, 8');
    expectGraphError(lower(byHand(two, () => [])), 'MISSING_VALUE', `${norm}: x is not a value`);
    const short = (g: GraphBuilder, x: Value) => [x, g.parameter('scale', { dtype: 'float32', shape: [5] })];
    expectGraphError(lower(byHand(two, short)), 'SHAPE_MISMATCH', norm, "'scale' [5]");
    const flat = (g: GraphBuilder) => [g.input('flat', 'float32', [4])];
    expectGraphError(lower(byHand(two, flat)), 'RANK_TOO_LOW', norm);
  });

  it('lowerGraph refuses a GroupNormalization without an output', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', [1, 2]);
    g.node('GroupNormalization', [x], { num_groups: attr.int(1) }, []);
    g.output('y', x);
    expectGraphError(
      () => lowerGraph(g.build(), 'op', 21),
      'MISSING_VALUE',
      'must have one output, but has 0',
    );
  });
});

describe('lowering a graph', () => {
  it('lowering op from opset 21 on is the operator alone, with statistics in float32', () => {
    const lowered = lowerGraph(oneNorm({ dtype: 'float16' }), 'op', 21);
    expect(opTypes(lowered)).to.deep.equal(['GroupNormalization']);
    expect(lowered.nodes[0]!.attributes).to.deep.include({ stash_type: { type: 'INT', value: 1 } });
  });

  it('lowering op at opset 18 to 20 gives the operator one scale per group, all ones, and multiplies and adds afterwards', () => {
    const lowered = lowerGraph(oneNorm(), 'op', 18);
    const [, scale, bias] = lowered.nodes[0]!.inputs;
    expect(opTypes(lowered).filter((type) => type !== 'Reshape')).to.deep.equal([
      'GroupNormalization',
      'Mul',
      'Add',
    ]);
    expect([...(scale!.data!.data as Float32Array)]).to.deep.equal([1, 1]);
    expect([...(bias!.data!.data as Float32Array)]).to.deep.equal([0, 0]);
    expect(lowered.nodes[0]!.attributes).not.to.have.property('stash_type');
  });

  it('lowering instance-norm with a group per channel ends in InstanceNormalization with the weights themselves', () => {
    const lowered = lowerGraph(oneNorm({ numGroups: 8 }), 'instance-norm', 17);
    const last = lowered.nodes.at(-1)!;
    expect(last.opType).to.equal('InstanceNormalization');
    const [x, ...weights] = last.inputs;
    expect(x!.shape).to.deep.equal(lowered.inputs[0]!.shape);
    expect(weights.map((input) => input!.name)).to.deep.equal(['enc1.norm.weight', 'enc1.norm.bias']);
  });

  for (const [lowering, muls] of [
    ['reduce-mean', 4],
    ['instance-norm', 0],
    ['layer-norm', 0],
  ] as const) {
    it(`lowering ${lowering} without affine parameters does not multiply by a scale or add a bias`, () => {
      const lowered = lowerGraph(oneNorm({ affine: false }), lowering, 17);
      // reduce-mean squares the rows and the mean, scales the rows and the mean, and adds epsilon.
      expect([count(lowered, 'Mul'), count(lowered, 'Add')]).to.deep.equal([muls, muls && 1]);
    });

    it(`lowering ${lowering} computes float16 in float32`, () => {
      const lowered = lowerGraph(oneNorm({ dtype: 'float16' }), lowering, 17);
      const wide = lowered.nodes.filter(
        ({ opType }) => opType.endsWith('Normalization') || opType === 'ReduceMean',
      );
      expect(new Set(wide.map(({ outputs }) => outputs[0]!.dtype))).to.deep.equal(new Set(['float32']));
      expect(lowered.outputs[0]!.dtype).to.equal('float16');
    });

    it(`lowering ${lowering} needs no shape at run time if only the batch is symbolic`, () => {
      expect(count(lowerGraph(oneNorm(), lowering, 17), 'Shape')).to.equal(0);
      expect(count(lowerGraph(oneNorm({ shape: ['N', 8, 'H', 4] }), lowering, 17), 'Shape')).to.be.above(0);
    });
  }

  for (const lowering of LOWERING_NAMES) {
    it(`lowering ${lowering} runs several norms of different symbolic sizes in one graph`, async () => {
      const g = new GraphBuilder('sizes');
      const norm = (x: Value) => op.groupNormalization(g, x, undefined, undefined, { numGroups: 2 });
      const half = (x: Value) => op.maxPool(g, x, { kernelShape: [2, 2], strides: [2, 2] });
      const x = norm(half(norm(g.input('x', 'float32', ['N', 4, 'H', 'W']))));
      g.output('y', norm(op.resize(g, x, { scales: [1, 1, 2, 2] })));
      const session = await createSession(encodeModel(g.build(), new Map(), { lowering }));
      const { y } = await session.run({ x: randomTensor('float32', [2, 4, 16, 8]) });
      expect(y!.dims).to.deep.equal([2, 4, 16, 8]);
      await session.dispose();
    });

    it(`lowering ${lowering} takes a spatial size of 0, and gives an empty result`, async () => {
      for (const dims of [
        [2, 4, 5, 0],
        [2, 4, 0, 5],
        [2, 4, 0],
      ]) {
        const x = randomTensor('float32', dims);
        const model = groupNormModel({ x, numGroups: 2, eps: 1e-5 }, { lowering, opset: 21, shape: dims });
        expect((await runModel(model, x)).dims).to.deep.equal(dims);
      }
    });
  }

  it('lowerGraph keeps inputs, outputs and parameters, and names new values after the place of the node', () => {
    const graph = oneNorm();
    const lowered = lowerGraph(graph, 'layer-norm', 17);
    expect(lowered.inputs).to.equal(graph.inputs);
    expect(lowered.parameters.map(({ name }) => name)).to.deep.equal(['enc1.norm.weight', 'enc1.norm.bias']);
    expect(lowered.nodes.at(-1)!.outputs[0]!.name).to.equal('y');
    for (const { name } of lowered.nodes) expect(name).to.match(/^\/enc1\/norm\//);
  });

  it('lowerGraph gives every value and node of many sites its own name', () => {
    const g = new GraphBuilder('chain');
    let x = g.input('x', 'float32', ['N', 8, 'H', 'W']);
    for (let i = 0; i < 5; i++) x = op.groupNormalization(g, x, undefined, undefined, { numGroups: 2 });
    g.output('y', x);
    const { nodes, constants } = lowerGraph(g.build(), 'reduce-mean', 17);
    const names = [
      ...nodes.flatMap(({ name, outputs }) => [name, ...outputs.map((v) => v.name)]),
      ...constants.map((v) => v.name),
    ];
    expect(new Set(names).size).to.equal(names.length);
  });
});
