/** GroupNormalization in bodies and local functions, as sessions see it: a norm of a function is a site in each call. */
import type { SiteRef } from '../lowering/lower.js';
import type { ModelNode } from '../onnx/node.js';
import { isGroupNorm } from '../rewrite/group-normalization.js';
import { problemOf } from '../rewrite/node-checks.js';
import { describeSite } from '../rewrite/sites.js';
import type { ValueTypes } from '../rewrite/value-types.js';
import { type Shape, UNKNOWN_DIM } from '../tensor.js';

/** The sites of each GroupNormalization, by {@link keyInside}; in place of a site the reason why it cannot be rewritten. */
export type InnerSites = ReadonlyMap<string, readonly (SiteRef | string)[]>;

/** Names a node in a body or function. Nodes of the two branches of an If may share it. */
export const keyInside = (place: string, { outputs }: ModelNode): string =>
  JSON.stringify([place, outputs[0]]);

/** Finds the sites in bodies and in functions that nodes call. */
export function findInnerSites(types: ValueTypes): InnerSites {
  const found = new Map<string, (SiteRef | string)[]>();
  if (!types.model.nestedOpTypes().has('GroupNormalization')) return found;
  const visit = (around: ValueTypes, nodes: readonly ModelNode[]): void => {
    for (const within of nodes.flatMap((node) => around.within(node))) {
      const { nodes: inner, place } = within.inside!.graph;
      for (const node of inner) {
        if (!isGroupNorm(node) || types.model.isFunctionCall(node)) continue;
        const called = within.asCalled(node);
        const site = problemOf(called, types.model.opset) ?? describeSite(within, called, false);
        const key = keyInside(place.text, node);
        const sites = found.get(key);
        if (sites) sites.push(site);
        else found.set(key, [site]);
      }
      visit(within, inner);
    }
  };
  visit(types, types.model.nodes);
  return found;
}

/** Returns what sites have in common: `undefined`, or `?` for a size, where they differ. The epsilon is the first one's. */
export function commonSite([first, ...others]: readonly SiteRef[]) {
  const common = <T>(read: (site: SiteRef) => T): T | undefined =>
    first && others.every((site) => read(site) === read(first)) ? read(first) : undefined;
  const isOfRank = common(({ x }) => x.shape.length) !== undefined;
  const shape: Shape | undefined = isOfRank
    ? first?.x.shape.map((_, axis) => common(({ x }) => x.shape[axis]!) ?? UNKNOWN_DIM)
    : undefined;
  return {
    shape,
    dtype: common(({ x }) => x.dtype),
    groups: common(({ numGroups }) => numGroups),
    channels: common(({ x }) => x.shape[1] as number),
    affine: common(({ scale, bias }) => scale !== undefined || bias !== undefined),
    epsilon: first?.epsilon,
  };
}
