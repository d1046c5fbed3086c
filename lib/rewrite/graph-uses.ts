import type { Model } from '../onnx/model.js';
import type { ModelNode } from '../onnx/node.js';

/** Who reads each value of a model's graph. */
export class Uses {
  readonly #readers = new Map<string, ModelNode[]>();
  readonly #producers = new Map<string, ModelNode>();
  readonly #outputs: ReadonlySet<string>;

  constructor(readonly model: Model) {
    this.#outputs = new Set(model.outputNames);
    for (const node of model.nodes) {
      for (const name of new Set(node.inputs)) this.#readersOf(name).push(node);
      for (const name of node.outputs) this.#producers.set(name, node);
    }
  }

  /** The nodes that read a value, each once; nothing if the caller of the model sees it too. */
  onlyReaders(name: string): readonly ModelNode[] {
    return this.#outputs.has(name) ? [] : (this.#readers.get(name) ?? []);
  }

  /** Whether anybody reads a value, or may, the caller of the model among them. */
  isRead(name: string): boolean {
    if (this.#outputs.has(name) || this.#readers.has(name)) return true;
    // Bodies of control flow, whose nodes are not among the model's, may read any value.
    return this.model.nestedOpTypes().size > 0;
  }

  /** The node that a value comes from; nothing for inputs and initializers. */
  producer(name: string): ModelNode | undefined {
    return this.#producers.get(name);
  }

  #readersOf(name: string): ModelNode[] {
    const readers = this.#readers.get(name) ?? [];
    this.#readers.set(name, readers);
    return readers;
  }
}

/** Whether a node is an operator of ONNX. */
export const isOp = ({ domain, opType }: ModelNode, name: string): boolean =>
  domain === '' && opType === name;

/** The first result, which most nodes have alone. */
export const outputOf = ({ outputs }: ModelNode): string => outputs[0]!;
