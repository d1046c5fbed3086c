/** Runs a model and measures the input of each normalization. */
import { NODE } from '../../runtime/node.js';
import { isFloatDType, type TensorData } from '../../tensor.js';
import { InlinedBody } from './inlined-body.js';
import { ModelRun, type ModelRunOptions } from '../values/intermediate-values.js';
import type { Measured } from './inspect.js';
import type { FoundNormalization } from './normalizations.js';
import type { NormInput } from './rows.js';
import { measureRows } from './statistics.js';
import type { NormalizationStatistics } from './types.js';

/** The most bytes of values that a run returns at once, and ONNX Runtime holds. */
const SLICE_BYTES = 2 ** 28;

/**
 * Runs a model and measures.
 * @param model Its path or bytes.
 * @throws What `createSession` and `session.run` throw.
 */
export async function measureNormalizations(
  model: string | Uint8Array,
  found: readonly FoundNormalization[],
  options: ModelRunOptions,
): Promise<Measured> {
  const results = new Map<FoundNormalization, NormalizationStatistics | string>();
  const byValue = new Map<string, [FoundNormalization, NormInput][]>();
  for (const one of found) {
    const { input } = one;
    if (typeof input === 'string') results.set(one, input);
    if (typeof input !== 'object') continue;
    const readers = byValue.get(input.name);
    if (readers) readers.push([one, input]);
    else byValue.set(input.name, [[one, input]]);
  }
  const body = new InlinedBody();
  const run = await ModelRun.open(NODE, model, options);
  try {
    // The outputs make it a run of the whole model, also if norms read its inputs alone.
    const names = [...byValue.keys(), ...run.model.outputNames];
    for await (const tensors of run.slices(names, SLICE_BYTES))
      for (const [name, value] of tensors)
        for (const [one, input] of byValue.get(name) ?? [])
          results.set(one, await measureValue(value, input, body));
    for (const [one, { name }] of [...byValue.values()].flat())
      if (!results.has(one)) results.set(one, `its input '${name}' cannot be read: ${run.whyNot(name)}`);
    return { provider: run.execution.provider, results };
  } finally {
    await body.dispose();
    await run.dispose();
  }
}

const measureValue = (value: TensorData, input: NormInput, body: InlinedBody) =>
  isFloatDType(value.dtype) ? measureRows(value, input, body) : `its input is ${value.dtype}`;
