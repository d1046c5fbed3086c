import { ONNX_DTYPE } from '../graph/types.js';
import type { DType } from '../tensor.js';
import { nameIn, type Rename, renameInNode, renameTensor } from './graph-walk.js';
import { ATTRIBUTE_TYPE, NodeProto } from './proto.js';
import { GRAPH } from './schema.js';
import type { GraphFields } from './splice.js';
import { withDtype } from './value-info.js';

/** An input or output of a graph that is of another dtype outside than inside. */
export interface BoundaryCast {
  readonly at: 'input' | 'output';
  /** The value's name in the graph; outside it keeps the one that it has. */
  readonly insideName: string;
  readonly insideDtype: DType;
  readonly outsideDtype: DType;
}

/** Puts casts, by the name outside, at the boundary of a graph: all in one pass, however many there are. */
export function applyCasts(graph: GraphFields, casts: ReadonlyMap<string, BoundaryCast>): void {
  const rename: Rename = (name) => casts.get(name)?.insideName ?? name;
  // What gives an output may be a tensor in place of a node.
  const renameOutput: Rename = (name) => (casts.get(name)?.at === 'output' ? rename(name) : name);
  graph.splice((field) => {
    if (field.tag === GRAPH.node) return renameInNode(field, rename);
    if (field.tag === GRAPH.initializer) return renameTensor(field, renameOutput);
    if (!DECLARING.has(field.tag)) return undefined;
    const cast = casts.get(nameIn(field));
    return cast && withDtype(field, cast.outsideDtype);
  });
  graph.prepend(GRAPH.node, castNodes(casts, 'input'));
  graph.append(GRAPH.node, castNodes(casts, 'output'));
}

const DECLARING: ReadonlySet<number> = new Set([GRAPH.input, GRAPH.output, GRAPH.valueInfo]);

const castNodes = (casts: ReadonlyMap<string, BoundaryCast>, at: BoundaryCast['at']): Uint8Array[] =>
  [...casts]
    .filter(([, cast]) => cast.at === at)
    .map(([name, { insideName, insideDtype, outsideDtype }]) =>
      at === 'input' ? castNode(name, insideName, insideDtype) : castNode(insideName, name, outsideDtype),
    );

const castNode = (input: string, output: string, to: DType): Uint8Array =>
  NodeProto.encode({
    name: `${output}/Cast`,
    opType: 'Cast',
    input: [input],
    output: [output],
    attribute: [{ name: 'to', type: ATTRIBUTE_TYPE.INT, i: ONNX_DTYPE[to] }],
  }).finish();
