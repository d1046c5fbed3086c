/** Runs of one model in both layouts of the native kernel. */
import { expect } from 'chai';
import type { Session, SessionOptions } from '../../lib/runtime/core/contract.js';
import { createSession } from '../../lib/runtime/node.js';
import type { TensorData } from '../../lib/tensor.js';

/** Returns the largest difference of two tensors of float32, in parts of the largest element, which counts as 1 at least. */
export function relativeDifference(a: TensorData, b: TensorData): number {
  expect(a.dims).to.deep.equal(b.dims);
  const [first, second] = [a.data as Float32Array, b.data as Float32Array];
  const largest = first.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  return first.reduce((most, value, i) => Math.max(most, Math.abs(value - second[i]!)), 0) / largest;
}

/** Of 120 random networks, whose norms of few elements enlarge rounding, the largest difference is 1.02e-5 (AVX2). */
const MOST_DIFFERENT = 2e-5;

/**
 * Checks that a model has the same outputs in both layouts, and the same bits from run to run.
 * @param layout The layout that `auto` must choose, if that is given.
 */
export async function expectSameInBothLayouts(
  model: string | Uint8Array,
  tensors: Readonly<Record<string, TensorData>>,
  layout?: Session['layout'],
  options: SessionOptions = {},
): Promise<void> {
  await using plain = await createSession(model, { providers: ['native'], ...options, layout: 'plain' });
  await using auto = await createSession(model, { providers: ['native'], ...options });
  if (layout !== undefined) expect(auto.layout, auto.layoutReason).to.equal(layout);
  expect([auto.inputs, auto.outputs]).to.deep.equal([plain.inputs, plain.outputs]);
  const feeds = Object.fromEntries(auto.inputs.map(({ name }) => [name, tensors[name]!]));
  const [expected, first, second] = [await plain.run(feeds), await auto.run(feeds), await auto.run(feeds)];
  for (const { name } of auto.outputs) {
    expect(relativeDifference(expected[name]!, first[name]!), name).to.be.below(MOST_DIFFERENT);
    expect(first[name]!.data, `${name}, run again`).to.deep.equal(second[name]!.data);
  }
}
