/** Finds the normalizations of a model, with the functions that sessions and `convertModel` find them by. */
import { bodiesOf, type InnerGraph } from '../../onnx/graph/inner-graph.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import type { NodePlace } from '../../onnx/graph/outline.js';
import { isContribGroupNorm } from '../../rewrite/norms/contrib-group-norm.js';
import {
  findExportedGroupNorm,
  findWrittenGroupNorm,
  type FoundGroupNorm,
} from '../../rewrite/norms/exported-group-norm.js';
import { findInlinedGroupNorm } from '../../rewrite/norms/inlined-group-norm.js';
import { problemOf } from '../../rewrite/analysis/node-checks.js';
import type { ValueTypes } from '../../rewrite/analysis/value-types.js';
import { type Shape, UNKNOWN_DIM } from '../../tensor.js';
import type { Step } from '../values/inner-values.js';
import { onEach } from './execution.js';
import { findLoweredGroupNorm } from './lowered-group-norm.js';
import {
  describeAlone,
  describeContrib,
  describeFound,
  describeLowered,
  describeOperator,
  type FoundNormalization,
  isNormalization,
} from './normalizations.js';
import type { Facts } from './warnings.js';

/**
 * Returns the normalizations of the graph, in the order in which they run, then those of bodies and of functions that nodes
 * call, and then those of other functions.
 */
export function findNormalizations(types: ValueTypes): FoundNormalization[] {
  const { model } = types;
  const inGraph = describeAll(types);
  const inside = new Map<ModelNode, FoundNormalization[]>();
  collectInside(types, inside);
  const rest = model.localFunctions
    .flatMap((graph) => nodesIn(graph))
    .filter(({ node }) => isNormalization(node) && !model.isFunctionCall(node) && !inside.has(node));
  return [
    ...inGraph.map(([, one]) => one),
    ...[...inside.values()].map(inAllCalls),
    ...rest.map(({ node, place }) => describeAlone(node, place)),
  ];
}

/** Returns the nodes of a function or body, with those of bodies within. */
const nodesIn = ({ nodes, place }: InnerGraph): { node: ModelNode; place: NodePlace }[] =>
  nodes.flatMap((node) => [{ node, place }, ...bodiesOf(node).flatMap((body) => nodesIn(body))]);

/** Describes what lies in the bodies of nodes, and in the functions that they call, once for each call. */
function collectInside(
  types: ValueTypes,
  found: Map<ModelNode, FoundNormalization[]>,
  outer: readonly Step[] = [],
): void {
  for (const [position, node] of types.index.nodes.entries())
    for (const [body, inner] of types.within(node).entries()) {
      const way = [...outer, { node: position, body }];
      for (const [norm, described] of describeAll(inner)) {
        const one = placedAt(way, described);
        const calls = found.get(norm);
        if (calls) calls.push(one);
        else found.set(norm, [one]);
      }
      collectInside(inner, found, way);
    }
}

const placedAt = (way: readonly Step[], { inputs, ...one }: FoundNormalization): FoundNormalization => ({
  ...one,
  inputs: typeof inputs === 'object' ? inputs.map((input) => ({ ...input, way })) : inputs,
});

/** Returns the normalizations of the graph, or of a body or function, with the nodes that normalize. */
function describeAll(types: ValueTypes): [ModelNode, FoundNormalization][] {
  const groupNorms = findGroupNorms(types);
  const lowered = new Map(findLoweredGroupNorm(types).map((one) => [one.norm, one]));
  const describe = (node: ModelNode): FoundNormalization | undefined => {
    const [groupNorm, written] = [groupNorms.get(node), lowered.get(node)];
    if (written) return describeLowered(types, written, groupNorm);
    if (groupNorm) return describeFound(types, groupNorm);
    if (!isNormalization(node) || types.model.isFunctionCall(node)) return undefined;
    if (types.inside && problemOf(node, types.model.opset) !== undefined)
      return describeAlone(node, types.inside.graph.place, problemOf(node, types.model.opset));
    const called = types.asCalled(node);
    return isContribGroupNorm(node) ? describeContrib(types, called) : describeOperator(types, called);
  };
  return types.index.nodes.flatMap((node) => {
    const one = describe(node);
    return one ? [[node, one]] : [];
  });
}

/** Returns what is the same in all calls of a function. */
function inAllCalls(calls: readonly FoundNormalization[]): FoundNormalization {
  const inputs = calls.flatMap((one) => (typeof one.inputs === 'object' ? one.inputs : []));
  return {
    facts: calls.map(({ facts }) => facts).reduce(commonFacts),
    reason: calls.find(({ reason }) => reason !== undefined)?.reason,
    inputs: inputs.length > 0 ? inputs : calls[0]!.inputs,
  };
}

function commonFacts(a: Facts, b: Facts): Facts {
  const isSame = (key: keyof Facts) => JSON.stringify(a[key]) === JSON.stringify(b[key]);
  const common = Object.entries(a).map(([key, value]: [string, unknown]) => [
    key,
    isSame(key as keyof Facts) ? value : undefined,
  ]);
  return {
    ...(Object.fromEntries(common) as Facts),
    shape: commonShape(a.shape, b.shape),
    // One call that is refused refuses the model.
    providers: onEach((provider) =>
      b.providers[provider] === 'refused' ? 'refused' : a.providers[provider],
    ),
  };
}

const commonShape = (a: Shape | undefined, b: Shape | undefined): Shape | undefined =>
  a && a.length === b?.length ? a.map((dim, axis) => (dim === b[axis] ? dim : UNKNOWN_DIM)) : undefined;

/** Returns every GroupNorm of the graph, or of a body or function, that is not one node, by the node that normalizes. */
function findGroupNorms(types: ValueTypes): Map<ModelNode, FoundGroupNorm> {
  const all = [
    ...findInlinedGroupNorm(types),
    ...findWrittenGroupNorm(types),
    ...findExportedGroupNorm(types),
  ];
  // The rows of a whole GroupNorm are found as rows too: the last entry of a node holds.
  return new Map(all.map((found) => [found.norm, found]));
}
