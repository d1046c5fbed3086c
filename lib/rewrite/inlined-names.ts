import type { Model } from '../onnx/index.js';

/** What ONNX Runtime names the values of a body that it inlines, without a look at the names that there are. */
const INLINED = '_inlfunc_';

/** Renames what a runtime has inlined before, so that it can inline an operator again: it refuses its own names. */
export function freeInlinedNames(model: Model): void {
  const taken = model.names();
  const fresh = (name: string): string => {
    let base = name.slice(INLINED.length);
    while (taken.has(base)) base = `${base}_`;
    taken.add(base);
    return base;
  };
  const inlined = [...taken].filter((name) => name.length > INLINED.length && name.startsWith(INLINED));
  model.renameValues(new Map(inlined.map((name) => [name, fresh(name)])));
}
