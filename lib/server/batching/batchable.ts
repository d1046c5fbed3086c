/** Says which models take batches. */
import { formatShape } from '../../tensor.js';
import type { Session, TensorInfo } from '../../runtime/core/contract.js';

/**
 * Says why a model takes no batches, by what it declares: each required input and each output needs an open first dimension,
 * which no other of its dimensions has to equal. `undefined` if it takes batches.
 */
export function whyNotBatchable({
  inputs,
  outputs,
}: Pick<Session, 'inputs' | 'outputs'>): string | undefined {
  const required = inputs.filter(({ optional }) => !optional);
  if (required.length === 0) return 'the model has no input with samples';
  const inputProblems = required.map((info) => firstDimProblem('input', info));
  const outputProblems = outputs.map((info) => firstDimProblem('output', info));
  return [...inputProblems, ...outputProblems].find((problem) => problem !== undefined);
}

function firstDimProblem(what: string, { name, dtype, shape }: TensorInfo): string | undefined {
  if (dtype === undefined) return `${what} '${name}' is not a tensor`;
  if (!shape) return `${what} '${name}' has no declared shape, so its first dimension may not be the samples`;
  const [first] = shape;
  if (typeof first === 'string') {
    const isTwice = first !== '' && shape.lastIndexOf(first) > 0;
    return isTwice
      ? `${what} '${name}' has the shape ${formatShape(shape)}, with the first dimension twice`
      : undefined;
  }
  const why =
    shape.length === 0 ? 'is a scalar' : `has the shape ${formatShape(shape)}, whose first size is fixed`;
  return `${what} '${name}' ${why}`;
}
