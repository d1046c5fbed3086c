/** The programs of the tests of this folder: each runs in a process of its own. */
import { register } from 'node:module';
import { createSession } from '../../../lib/index.js';
import { warnOfTf32 } from '../../../lib/runtime/ort-node/workarounds.js';
import { groupNormModel, randomTensor } from '../../support/group-norm.js';

const model = groupNormModel(
  { x: randomTensor('float32', [2, 8, 6, 5]), numGroups: 4, eps: 1e-5 },
  { lowering: 'op', opset: 21 },
);

/** Prints why createSession refuses the model, and the provider and first fallback of a session that may take wasm. */
export async function createWithAndWithoutWasm(): Promise<void> {
  const refusal = (await createSession(model).catch((error: unknown) => error)) as Record<string, unknown>;
  const { provider, fallbacks } = await createSession(model, { providers: ['cpu', 'wasm'] });
  console.log(JSON.stringify([refusal['code'], refusal['message'], provider, fallbacks[0]?.reason]));
  process.exit();
}

/** The same, where Node does not find the library that onnxruntime-node needs. */
export async function createWithoutLibrary(): Promise<void> {
  register('./missing-library.mjs', import.meta.url);
  await createWithAndWithoutWasm();
}

/** Prints each warning's code, and the variable. */
export function warnTwiceOfTf32(): void {
  delete process.env['NVIDIA_TF32_OVERRIDE'];
  process.on('warning', (warning: NodeJS.ErrnoException) =>
    console.log(warning.code, process.env['NVIDIA_TF32_OVERRIDE']),
  );
  warnOfTf32();
  warnOfTf32();
}
