import { GraphFields } from './graph-fields.js';
import { readModel } from './model-fields.js';
import { nameIn } from './names.js';
import { GRAPH } from './schema.js';
import { hasShape } from './value-type.js';

/** The inputs and outputs for which a model declares no shape, and so takes or gives any rank. */
export function unrankedNames(model: Uint8Array): Set<string> {
  const names = new Set<string>();
  const { graph = new Uint8Array() } = readModel(model);
  new GraphFields(graph).each((field) => {
    if ((field.tag === GRAPH.input || field.tag === GRAPH.output) && !hasShape(field))
      names.add(nameIn(field));
  });
  return names;
}
