/**
 * The nodes of a model in ONNX Runtime's own format (.ort), as far as the checks of a session ask for them. The numbers of fields
 * are those of `core/flatbuffers/schema/ort.fbs` in ONNX Runtime 1.30.
 */
import { dtypeFromOnnx } from '../../graph/types.js';
import {
  bytesPerElement,
  elementCount,
  type Shape,
  type TensorData,
  tensorFromBytes,
  UNKNOWN_DIM,
} from '../../tensor.js';
import type { Known, RuledNode } from './crashes.js';
import { rootTable, type Table } from './flatbuffer.js';

const SESSION = { model: 1 };
const MODEL = { graph: 7 };
const GRAPH = { initializers: 0, values: 1, nodes: 2 };
const NODE = { name: 0, domain: 2, opType: 5, inputs: 8, outputs: 9, attributes: 10 };
const ATTRIBUTE = { name: 0, type: 2, f: 3, i: 4, graph: 7, floats: 8, ints: 9, strings: 10, graphs: 12 };
const VALUE = { name: 0, type: 2 };
const TYPE = { kind: 1, tensor: 2 };
const TENSOR_TYPE = { shape: 1 };
const SHAPE = { dims: 0 };
const DIM = { value: 0 };
const DIM_VALUE = { kind: 0, size: 1 };
const TENSOR = { name: 0, dims: 2, dtype: 3, data: 4 };

/** The values of `Attribute.type`, `TypeInfo.value_type` and `DimensionValue.dim_type`. */
const [FLOAT, INT, FLOATS, INTS] = [1, 2, 6, 7];
const IS_TENSOR = 1;
const IS_SIZE = 1;

/**
 * Yields the nodes of the graph and of all bodies, with what is known of their inputs.
 * @throws RangeError, also when a node is asked for more, if a part lies outside of the file or parts lie in each other.
 */
export function* ortNodes(bytes: Uint8Array): Generator<Known, void> {
  const main = rootTable(bytes).table(SESSION.model)?.table(MODEL.graph);
  if (!main) return;
  const values = lookup(main, GRAPH.values, VALUE.name);
  const initializers = lookup(main, GRAPH.initializers, TENSOR.name);
  // A list that grows, and not a recursion: bodies may lie in each other.
  const graphs = [main];
  for (const graph of graphs) {
    const isNested = graph !== main;
    for (const table of graph.tables(GRAPH.nodes)) {
      for (const attribute of table.tables(NODE.attributes)) {
        const body = attribute.table(ATTRIBUTE.graph);
        if (body) graphs.push(body);
        for (const one of attribute.tables(ATTRIBUTE.graphs)) graphs.push(one);
      }
      const node = new OrtNode(table);
      yield {
        node,
        shape: (input) => (isNested ? undefined : shapeOf(values(node.inputs[input]))),
        constant: (input) => (isNested ? undefined : dataOf(initializers(node.inputs[input]))),
        isNested,
      };
    }
  }
}

/** Returns a function that finds the table of a list by its name. */
function lookup(
  graph: Table,
  list: number,
  nameField: number,
): (name: string | undefined) => Table | undefined {
  let byName: Map<string, Table> | undefined;
  return (name) => {
    byName ??= new Map([...graph.tables(list)].map((table) => [table.text(nameField), table]));
    return name === undefined ? undefined : byName.get(name);
  };
}

function shapeOf(value: Table | undefined): Shape | undefined {
  const type = value?.table(VALUE.type);
  if (type?.int(TYPE.kind, 1) !== IS_TENSOR) return undefined;
  const shape = type.table(TYPE.tensor)?.table(TENSOR_TYPE.shape);
  return shape && Array.from(shape.tables(SHAPE.dims), sizeOf);
}

function sizeOf(dim: Table): number | string {
  const value = dim.table(DIM.value);
  return value?.int(DIM_VALUE.kind, 1) === IS_SIZE ? value.int(DIM_VALUE.size, 8) : UNKNOWN_DIM;
}

function dataOf(initializer: Table | undefined): TensorData | undefined {
  const dtype = initializer && dtypeFromOnnx(initializer.int(TENSOR.dtype, 4));
  if (!dtype) return undefined;
  const [dims, bytes] = [[...initializer.int64s(TENSOR.dims)], initializer.bytes(TENSOR.data)];
  const isWhole = bytes.byteLength === elementCount(dims) * bytesPerElement(dtype);
  return isWhole ? tensorFromBytes(dtype, dims, bytes) : undefined;
}

/** A node. All but its operator is read when it is asked for: few nodes have a rule. */
class OrtNode implements RuledNode {
  readonly opType: string;
  readonly domain: string;
  readonly #table: Table;

  constructor(table: Table) {
    this.opType = table.text(NODE.opType);
    const domain = table.text(NODE.domain);
    this.domain = domain === 'ai.onnx' ? '' : domain;
    this.#table = table;
  }

  get name(): string {
    return this.#table.text(NODE.name);
  }

  get inputs(): readonly string[] {
    return [...this.#table.texts(NODE.inputs)];
  }

  get outputs(): readonly string[] {
    return [...this.#table.texts(NODE.outputs)];
  }

  number(name: string): number | undefined {
    const found = this.#find(name);
    const type = found?.int(ATTRIBUTE.type, 4);
    if (type === INT) return found!.int(ATTRIBUTE.i, 8);
    return type === FLOAT ? found!.float(ATTRIBUTE.f) : undefined;
  }

  numbers(name: string): readonly number[] | undefined {
    const found = this.#find(name);
    const type = found?.int(ATTRIBUTE.type, 4);
    if (type === INTS) return [...found!.int64s(ATTRIBUTE.ints)];
    return type === FLOATS ? [...found!.floats(ATTRIBUTE.floats)] : undefined;
  }

  lengthOf(name: string): number {
    const found = this.#find(name);
    return found ? found.lengthOf(ATTRIBUTE.ints) + found.lengthOf(ATTRIBUTE.strings) : 0;
  }

  #find(name: string): Table | undefined {
    for (const attribute of this.#table.tables(NODE.attributes))
      if (attribute.text(ATTRIBUTE.name) === name) return attribute;
    return undefined;
  }
}
