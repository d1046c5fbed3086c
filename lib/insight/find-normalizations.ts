/** Finds the normalizations of a model, with the functions that sessions and `convertModel` find them by. */
import type { ModelNode } from '../onnx/node.js';
import { isContribGroupNorm } from '../rewrite/contrib-group-norm.js';
import {
  findExportedGroupNorm,
  findWrittenGroupNorm,
  type FoundGroupNorm,
} from '../rewrite/exported-group-norm.js';
import { findInlinedGroupNorm } from '../rewrite/inlined-group-norm.js';
import { problemOf } from '../rewrite/node-checks.js';
import type { ValueTypes } from '../rewrite/value-types.js';
import { onEach } from './execution.js';
import { findLoweredGroupNorm } from './lowered-group-norm.js';
import {
  describeContrib,
  describeFound,
  describeLowered,
  describeOperator,
  describeUnknown,
  type FoundNormalization,
  isNormalization,
} from './normalizations.js';
import type { Facts } from './warnings.js';

/** Returns the normalizations of the graph, in the order in which they run, and then those of bodies and functions. */
export function findNormalizations(types: ValueTypes): FoundNormalization[] {
  const found = findGroupNorms(types);
  const inGraph = describeAll(types, (node) => found.get(node));
  const inside = new Map<ModelNode, FoundNormalization[]>();
  collectInside(types, inside);
  return [...inGraph.flatMap(([, one]) => one), ...[...inside.values()].map(inAllCalls)];
}

/** Describes what lies in the bodies of nodes, and in the functions that they call, once for each call. */
function collectInside(types: ValueTypes, found: Map<ModelNode, FoundNormalization[]>): void {
  for (const node of types.index.nodes)
    for (const inner of types.within(node)) {
      for (const [norm, one] of describeAll(inner, () => undefined))
        found.set(norm, [...(found.get(norm) ?? []), one]);
      collectInside(inner, found);
    }
}

/** Returns the normalizations of the graph, or of a body or function, with the nodes that normalize. */
function describeAll(
  types: ValueTypes,
  groupNormAt: (node: ModelNode) => FoundGroupNorm | undefined,
): [ModelNode, FoundNormalization][] {
  const lowered = new Map(findLoweredGroupNorm(types).map((one) => [one.norm, one]));
  const describe = (node: ModelNode): FoundNormalization | undefined => {
    const [groupNorm, written] = [groupNormAt(node), lowered.get(node)];
    if (written) return describeLowered(types, written, groupNorm);
    if (groupNorm) return describeFound(types, groupNorm);
    if (!isNormalization(node) || types.model.isFunctionCall(node)) return undefined;
    if (types.inside && problemOf(node, types.model.opset) !== undefined) return describeUnknown(types, node);
    const called = types.asCalled(node);
    return isContribGroupNorm(node) ? describeContrib(types, called) : describeOperator(types, called);
  };
  return types.index.nodes.flatMap((node) => {
    const one = describe(node);
    return one ? [[node, one]] : [];
  });
}

/** Returns what is the same in all calls of a function. */
function inAllCalls([first, ...others]: readonly FoundNormalization[]): FoundNormalization {
  return others.reduce(
    (all, { facts, reason }) => ({
      ...all,
      facts: commonFacts(all.facts, facts),
      reason: all.reason ?? reason,
    }),
    first!,
  );
}

function commonFacts(a: Facts, b: Facts): Facts {
  const isSame = (key: string) =>
    JSON.stringify(a[key as keyof Facts]) === JSON.stringify(b[key as keyof Facts]);
  const entries = Object.entries(a).map(([key, value]: [string, unknown]) => [
    key,
    isSame(key) ? value : undefined,
  ]);
  // One call that is refused refuses the model.
  const providers = onEach((provider) =>
    b.providers[provider] === 'refused' ? 'refused' : a.providers[provider],
  );
  return { ...(Object.fromEntries(entries) as Facts), providers };
}

/** Returns every GroupNorm that is not one node, by the node that normalizes. */
function findGroupNorms(types: ValueTypes): Map<ModelNode, FoundGroupNorm> {
  const all = [
    ...findInlinedGroupNorm(types),
    ...findWrittenGroupNorm(types),
    ...findExportedGroupNorm(types),
  ];
  // The rows of a whole GroupNorm are found as rows too: the last entry of a node holds.
  return new Map(all.map((found) => [found.norm, found]));
}
