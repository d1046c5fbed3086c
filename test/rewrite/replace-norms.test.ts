import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { SiteRef } from '../../lib/lowering/lower-site.js';
import { Model } from '../../lib/onnx/model.js';
import { ModelProto } from '../../lib/onnx/proto.js';
import {
  type NormPlan,
  replaceNorms,
  runnable,
  unreachableGroupNorm,
} from '../../lib/rewrite/replace-norms.js';
import { MAX_LAYER_NORM_ROW } from '../../lib/rewrite/row-norms.js';
import { ValueTypes } from '../../lib/rewrite/value-types.js';
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
const NONE = { exported: 0, inlined: 0, operator: 0, rows: 0, refusals: [] };

describe('the passes over normalizations', () => {
  it('do what the plan has a part for, and nothing else', () => {
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

  it('take what PyTorch exports as the rows that it is, where the plan has no part for it', () => {
    expect(report(exportedModel(CASE, 17), { rows: ROWS })).to.deep.equal({ ...NONE, rows: 1 });
  });

  it('say why they left what they should have replaced', () => {
    const message = ModelProto.decode(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
    message.graph!.input = [];
    const { operator, refusals } = report(ModelProto.encode(message).finish(), { operator: 'reduce-mean' });
    expect([operator, refusals.length]).to.deep.equal([0, 1]);
    expect(refusals[0]).to.include('does not declare');
  });

  it('write reduce-mean where instance-norm is asked for and x is float64', () => {
    const site = (dtype: 'float32' | 'float64') =>
      ({ x: { name: 'x', dtype, shape: [] } }) as unknown as SiteRef;
    expect(runnable('instance-norm', site('float64'))).to.equal('reduce-mean');
    expect(runnable('instance-norm', site('float32'))).to.equal('instance-norm');
    expect(runnable('layer-norm', site('float64'))).to.equal('layer-norm');
  });

  it('do not reach a body or a local function, which can be told', () => {
    const node = [{ opType: 'GroupNormalization', input: ['x'], output: ['z'] }];
    const message = ModelProto.decode(groupNormModel(CASE, { lowering: 'reduce-mean', opset: 21 }));
    const decoded = () => Model.decode(ModelProto.encode(message).finish());
    expect(unreachableGroupNorm(decoded())).to.equal(undefined);
    const body = { name: 'body', node };
    message.graph!.node!.push({ opType: 'If', attribute: [{ name: 'then_branch', type: 5, g: body }] });
    expect(unreachableGroupNorm(decoded())).to.equal('the body of an If, Loop or Scan');
    message.functions = [{ name: 'Norm', domain: 'mine', input: ['x'], output: ['z'], node }];
    expect(unreachableGroupNorm(decoded())).to.equal('a local function');
  });
});
