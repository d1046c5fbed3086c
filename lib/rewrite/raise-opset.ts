/**
 * Makes models of an opset models of a later one.
 *
 *     no operator that the opsets between have changed, or only nodes that mean the same in both
 *
 * matches. Nodes whose attributes have become inputs are edited; all other nodes stay as they are. Sessions raise opset 6 to
 * 7, because ONNX Runtime (1.32) has no kernels for the arithmetic of opset 6; `convertModel` raises a model to opset 21, which
 * has the standard operator, if asked to.
 */
import type { NodeEdit } from '../onnx/graph/graph-edits.js';
import type { ModelNode } from '../onnx/graph/node.js';
import { freshName, type Model } from '../onnx/model.js';
import { int64Vector, type TensorData } from '../tensor.js';
import { planRaise, type RaisePlan } from './analysis/opset-changes.js';

/** Carries out a plan, whatever its obstacles. The encoded model differs only if a later pass modifies it. */
export function raiseOpset(model: Model, { opset, edits }: RaisePlan): void {
  const taken = model.names();
  const constants = new Map<string, TensorData>();
  const nodeEdits = new Map<ModelNode, NodeEdit>();
  for (const [node, { dropped = [], lists = [], set = {} }] of edits) {
    const inputs = lists.map(([list, values]) => {
      const name = freshName(`${node.name || node.outputs[0]!}_${list}`, taken);
      constants.set(name, int64Vector(values));
      return name;
    });
    nodeEdits.set(node, { dropped, inputs, set });
  }
  if (nodeEdits.size > 0) model.editNodes((node) => nodeEdits.get(node));
  if (constants.size > 0) model.setConstants(constants);
  model.raiseOpset(opset);
}

/** Makes a model of opset 6 one of opset 7, if all of its nodes mean the same there. */
export function raiseOpset6(model: Model): void {
  if (model.opset !== 6) return;
  const plan = planRaise(model, 7);
  if (plan.obstacles.length === 0) raiseOpset(model, plan);
}
