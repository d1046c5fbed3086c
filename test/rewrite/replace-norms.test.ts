import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { SiteRef } from '../../lib/lowering/lower.js';
import { sessionReduceMean } from '../../lib/lowering/session-reduce-mean.js';
import { Model } from '../../lib/onnx/model.js';
import { ModelProto } from '../../lib/onnx/protobuf/proto.js';
import { type NormPlan, recordedLowering, replaceNorms } from '../../lib/rewrite/replace-norms.js';
import { MAX_LAYER_NORM_ROW } from '../../lib/rewrite/norms/row-norms.js';
import { ValueTypes } from '../../lib/rewrite/analysis/value-types.js';
import { exportedModel } from '../support/exported-model.js';
import { type GroupNormCase, groupNormModel, randomTensor } from '../support/group-norm.js';

const CASE: GroupNormCase = { x: randomTensor('float32', [1, 4, 40, 30]), numGroups: 2, eps: 1e-5 };
const ROWS: NormPlan['rows'] = {
  lowering: 'reduce-mean',
  operators: ['InstanceNormalization'],
  maxRow: MAX_LAYER_NORM_ROW,
};

const report = (bytes: Uint8Array, plan: NormPlan) => replaceNorms(new ValueTypes(Model.decode(bytes)), plan);
const sample = (name: string) => readFileSync(new URL(`../samples/${name}.onnx`, import.meta.url));
const NONE = {
  exported: 0,
  contrib: 0,
  nhwcConv: 0,
  inlined: 0,
  operator: 0,
  rows: 0,
  refusals: [],
  contribRefusals: [],
};

describe('replaceNorms', () => {
  it('replaceNorms replaces the normalizations that the plan has a part for, and no others', () => {
    const standard = groupNormModel(CASE, { lowering: 'op', opset: 21 });
    const all: NormPlan = {
      exported: 'reduce-mean',
      inlined: 'reduce-mean',
      operator: 'reduce-mean',
      rows: ROWS,
    };
    const cases = [
      [exportedModel(CASE, 17), 'exported'],
      [sample('inlined-group-norm'), 'inlined'],
      [standard, 'operator'],
    ] as const;
    for (const [bytes, part] of cases) {
      expect(report(bytes, all), part).to.deep.equal({ ...NONE, [part]: 1 });
      expect(report(bytes, { [part]: all[part] }), part).to.deep.equal({ ...NONE, [part]: 1 });
      expect(report(bytes, {}), part).to.deep.equal(NONE);
    }
  });

  it('replaceNorms does not read the branches that a lowering has written', () => {
    const types = new ValueTypes(Model.decode(groupNormModel(CASE, { lowering: 'op', opset: 21 })));
    const asked: string[] = [];
    const within = types.within.bind(types);
    types.within = (node) => (asked.push(node.opType), within(node));
    const plan = {
      operator: sessionReduceMean({ maxShortRow: 1024, areInOneFloat: false }),
      inlined: 'reduce-mean',
      rows: ROWS,
    } as const;
    expect(replaceNorms(types, plan)).to.deep.equal({ ...NONE, operator: 1 });
    expect(types.model.nestedOpTypes()).to.include('ReduceMean');
    expect(asked).to.deep.equal([]);
  });

  it('replaceNorms replaces a PyTorch export as rows, if the plan has no part for exports', () => {
    expect(report(exportedModel(CASE, 17), { rows: ROWS })).to.deep.equal({ ...NONE, rows: 1 });
  });

  it('replaceNorms gives the reason why a node stays that the plan replaces', () => {
    const message = ModelProto.decode(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
    message.graph!.input = [];
    const { operator, refusals } = report(ModelProto.encode(message).finish(), { operator: 'reduce-mean' });
    expect([operator, refusals.length]).to.deep.equal([0, 1]);
    expect(refusals[0]).to.include('does not declare');
  });

  it('replaceNorms writes reduce-mean for instance-norm if x is float64', () => {
    const site = (dtype: 'float32' | 'float64') =>
      ({ x: { name: 'x', dtype, shape: [] } }) as unknown as SiteRef;
    const used = new Set<string>();
    const lowering = (name: string, dtype: 'float32' | 'float64') =>
      recordedLowering(name, used)(site(dtype));
    expect(lowering('instance-norm', 'float64')).to.equal('reduce-mean');
    expect(lowering('instance-norm', 'float32')).to.equal('instance-norm');
    expect(lowering('layer-norm', 'float64')).to.equal('layer-norm');
    expect([...used]).to.deep.equal(['reduce-mean', 'instance-norm', 'layer-norm']);
  });

  it('replaceNorms counts the operators in bodies with those of the graph', () => {
    const message = ModelProto.decode(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
    const [norm] = message.graph!.node!.splice(0);
    const body = { name: 'body', node: [norm!], output: [{ name: norm!.output![0]! }] };
    const branch = (name: string) => ({ name, type: 5, g: body });
    message.graph!.node!.push({
      opType: 'If',
      input: ['c'],
      output: ['z'],
      attribute: [branch('then_branch'), branch('else_branch')],
    });
    const bytes = ModelProto.encode(message).finish();
    expect(report(bytes, { operator: 'reduce-mean' })).to.deep.equal({ ...NONE, operator: 2 });
    expect(report(bytes, {})).to.deep.equal(NONE);
  });
});
