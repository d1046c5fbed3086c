import { GraphBuilder, op, type Node, type Value } from '../graph/index.js';
import type { DType, Shape } from '../tensor.js';
import { getLowering } from './choose.js';

/** A value of a graph or model, by name: a fragment's nodes refer to it without owning it. */
export interface ValueRef {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** One GroupNormalization node to be replaced. */
export interface SiteRef {
  /** The node's name; its path becomes the path of the new names. */
  readonly name: string;
  readonly x: ValueRef;
  /** (C); nothing stands for ones. */
  readonly scale?: ValueRef | undefined;
  /** (C); nothing stands for zeros. */
  readonly bias?: ValueRef | undefined;
  readonly numGroups: number;
  readonly epsilon: number;
  /** The name that the result must have. */
  readonly output: string;
}

/** The nodes that take a site's place, in order, and the constants that they need. */
export interface Fragment {
  readonly nodes: readonly Node[];
  readonly constants: readonly Value[];
}

/**
 * Lowers one site; the builder and the model rewriter both come through here.
 * @param takenNames Every name of the surrounding graph. New names avoid them and are added to them; the
 *   node's own name is free again.
 * @throws GraphError `UNKNOWN_LOWERING`, `LOWERING_UNAVAILABLE`, `UNSUPPORTED_OPSET`.
 */
export function lowerSite(site: SiteRef, lowering: string, opset: number, takenNames: Set<string>): Fragment {
  const chosen = getLowering(lowering, opset);
  takenNames.delete(site.name);
  const g = new GraphBuilder(site.name, takenNames);
  const imported = new Map<string, Value>();
  const importValue = ({ name, dtype, shape }: ValueRef): Value => {
    const value = imported.get(name) ?? g.input(name, dtype, shape);
    imported.set(name, value);
    return value;
  };
  // A decomposition goes under the node's own name, which no other site has; the operator keeps its place.
  const parts = site.name.split(/[/.]/).filter(Boolean);
  const path = (lowering === 'op' ? parts.slice(0, -1) : parts).join('.');
  const scope = path ? g.scope(path) : g;
  const x = importValue(site.x);
  const values = {
    x,
    scale: site.scale && importValue(site.scale),
    bias: site.bias && importValue(site.bias),
  };
  const { numGroups, epsilon } = site;
  const y = isEmpty(site)
    ? op.identity(scope, x)
    : chosen.lower(scope, { ...values, numGroups, epsilon }, opset);
  g.output(site.output, y);
  const { nodes, constants } = g.build();
  for (const name of namesOf(nodes, constants)) takenNames.add(name);
  return { nodes, constants };
}

/** Nothing to normalise, in a shape that Reshape has no target for: there a 0 stands for another dimension. */
const isEmpty = ({ x }: SiteRef): boolean => x.shape.slice(2).includes(0);

/** The names that nodes and constants give: their own and those of their results. */
export const namesOf = (nodes: readonly Node[], values: readonly Value[]): string[] => [
  ...values.map(({ name }) => name),
  ...nodes.flatMap(({ name, outputs }) => [name, ...outputs.map((output) => output.name)]),
];
