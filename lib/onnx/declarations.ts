import { dtypeFromOnnx } from '../graph/index.js';
import type { DType, TensorData } from '../tensor.js';
import type { GraphFields } from './graph-fields.js';
import { nameIn } from './names.js';
import { GRAPH } from './schema.js';
import { heldTensor, readTensor, type TensorHeader } from './tensor-fields.js';
import { readType, type TensorType } from './value-type.js';
import type { WireReader } from './wire.js';

/** Where values are declared, the last word first. */
const DECLARING = [GRAPH.valueInfo, GRAPH.output, GRAPH.input];

/** What a graph says of its values, by name. Where it has said it of one name twice, the last holds, as at run time. */
export class Declarations {
  readonly #initializers = new Map<string, TensorHeader>();
  readonly #types = new Map<number, Map<string, TensorType>>(DECLARING.map((tag) => [tag, new Map()]));

  constructor(graph: GraphFields) {
    graph.each((field) => this.#add(field));
  }

  /** What the list of inputs, outputs or intermediate values (a tag of GRAPH) declares. */
  typeIn(list: number, name: string): TensorType | undefined {
    return this.#types.get(list)!.get(name);
  }

  typeOf(name: string): TensorType | undefined {
    const declaring = DECLARING.find((tag) => this.#types.get(tag)!.has(name));
    return declaring === undefined ? this.#typeOfInitializer(name) : this.typeIn(declaring, name);
  }

  constant(name: string): TensorData | undefined {
    const initializer = this.#initializers.get(name);
    return initializer && heldTensor(initializer);
  }

  setDtype(name: string, dtype: DType): void {
    for (const types of this.#types.values()) {
      const type = types.get(name);
      if (type) types.set(name, { ...type, dtype });
    }
  }

  #typeOfInitializer(name: string): TensorType | undefined {
    const initializer = this.#initializers.get(name);
    const dtype = initializer && dtypeFromOnnx(initializer.dataType);
    return dtype && { dtype, shape: initializer.dims };
  }

  #add(field: WireReader): void {
    if (field.tag === GRAPH.initializer) {
      const tensor = readTensor(field);
      this.#initializers.set(tensor.name, tensor);
    }
    const types = this.#types.get(field.tag);
    const type = types && readType(field);
    if (type) types.set(nameIn(field), type);
  }
}
