/** The programs of the tests of this folder: each runs in a process of its own. */
import { writeFile } from 'node:fs/promises';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import type { Provider } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensor } from '../../../lib/tensor.js';

const SIZE = 1 << 20;

function model(outputs = ['y']): Uint8Array {
  const g = new GraphBuilder('large');
  const weight = g.parameter('weight', { dtype: 'float32', shape: [SIZE] });
  const x = g.input('x', 'float32', [1]);
  for (const name of outputs) g.output(name, op.add(g, x, weight));
  return encodeModel(g.build(), new Map([['weight', tensor('float32', [SIZE], new Float32Array(SIZE))]]));
}

async function open(providers: readonly Provider[]) {
  const bytes = model();
  return { session: await createSession(bytes, { providers }), bytes: new WeakRef(bytes.buffer) };
}

/** Prints which sessions let go of the bytes of their model. Needs --expose-gc. */
export async function printWhatIsFreed(): Promise<void> {
  const found: Record<string, string> = {};
  for (const providers of [['cpu'], ['native', 'wasm'], ['wasm']] as const) {
    const { session, bytes } = await open(providers);
    await session.run({ x: tensor('float32', [1], Float32Array.of(1)) });
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      globalThis.gc!();
    }
    found[providers.join()] = bytes.deref() === undefined ? 'freed' : 'kept';
    await session.dispose();
  }
  console.log(JSON.stringify(found));
}

/** Prints what array buffers hold of a model with two outputs after its file was loaded. Needs --expose-gc. */
export async function printWhatIsKeptOfFile(path: string): Promise<void> {
  await writeFile(path, model(['y', 'z']));
  globalThis.gc!();
  const before = process.memoryUsage().arrayBuffers;
  const session = await createSession(path, { providers: ['cpu'] });
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    globalThis.gc!();
  }
  const kept = process.memoryUsage().arrayBuffers - before;
  await session.dispose();
  console.log(kept < 4 * SIZE ? 'freed' : `kept ${kept} bytes`);
}
