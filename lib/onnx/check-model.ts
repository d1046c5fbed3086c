import { readNode } from './node.js';
import { GRAPH, MODEL } from './schema.js';
import { checkTensor } from './tensor-fields.js';
import { readType } from './value-type.js';
import { visitFunction, visitGraph, type Visit } from './visit.js';
import { tooLarge, WireReader } from './wire.js';

/** Passes keep all nodes, or all that is declared, at once. Models in use have some thousands. */
const MAX_ENTRIES = 2 ** 20;

/**
 * Reads all that passes may ask a model for, so that damage is told when it is decoded and not halfway through a
 * pass: nodes, tensors and declared types, those of bodies and functions among them.
 * @throws ModelError.
 */
export function checkModel(bytes: Uint8Array): void {
  let entries = 0;
  const checkEntry = (field: WireReader, check: Check) => {
    if (++entries > MAX_ENTRIES)
      throw tooLarge(`more than ${MAX_ENTRIES} nodes, tensors and declared values`);
    check(field);
  };
  const checkNode: Visit = (field) => checkEntry(field, readNode);
  const checkField: Visit = (field) => {
    const check = CHECKS.get(field.tag);
    if (check) checkEntry(field, check);
  };
  const model = WireReader.of(bytes);
  while (model.next()) {
    if (model.tag === MODEL.graph) visitGraph(model.enter(), checkField);
    if (model.tag === MODEL.functions) visitFunction(model.enter(), checkNode, checkField);
  }
}

type Check = (field: WireReader) => unknown;

const CHECKS: ReadonlyMap<number, Check> = new Map<number, Check>([
  [GRAPH.node, readNode],
  [GRAPH.initializer, checkTensor],
  [GRAPH.input, readType],
  [GRAPH.output, readType],
  [GRAPH.valueInfo, readType],
]);
