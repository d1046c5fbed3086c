import type { Graph, Node } from '../graph/index.js';
import { getLowering } from './choose.js';
import { lowerSite, namesOf, type Fragment, type SiteRef } from './lower-site.js';

/**
 * The same graph with every GroupNormalization written in one way, ready to be encoded at `opset`.
 * Inputs, outputs and parameters stay as they are.
 * @throws GraphError `UNKNOWN_LOWERING`, `LOWERING_UNAVAILABLE`, `UNSUPPORTED_OPSET`.
 */
export function lowerGraph(graph: Graph, lowering: string, opset: number): Graph {
  getLowering(lowering, opset);
  const { inputs, parameters, constants, nodes } = graph;
  const takenNames = new Set(namesOf(nodes, [...inputs, ...parameters, ...constants]));
  const fragments = nodes.map((node): Fragment =>
    node.opType === 'GroupNormalization'
      ? lowerSite(siteOf(node), lowering, opset, takenNames)
      : { nodes: [node], constants: [] },
  );
  return {
    ...graph,
    nodes: fragments.flatMap((fragment) => fragment.nodes),
    constants: [...constants, ...fragments.flatMap((fragment) => fragment.constants)],
  };
}

function siteOf({ name, inputs, outputs, attributes }: Node): SiteRef {
  const [x, scale, bias] = inputs;
  return {
    name,
    x: x!,
    scale,
    bias,
    numGroups: attributes.num_groups!.value as number,
    epsilon: attributes.epsilon!.value as number,
    output: outputs[0]!.name,
  };
}
