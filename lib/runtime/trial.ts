/** A provider that is tried in a process of its own, because a library of the wrong version may end the process. */
import { createRequire } from 'node:module';
import { inOtherProcess, lastOf } from './other-process.js';
import { PROBE_INPUT, probeModel, whyWrong } from './probe.js';

/** CUDA takes some seconds to start where its kernels are still to be compiled for the GPU. */
const MAX_MILLISECONDS = 120_000;

/**
 * What the other process runs. `disable_cpu_ep_fallback` makes ONNX Runtime refuse a model of which it would run any
 * node on the CPU instead.
 */
const PROGRAM = `
// Deno puts a name for the program before the arguments.
const [path, name, dims, data] = process.argv.slice(-4);
const ort = require(path);
const chunks = [];
process.stdin.on('data', (chunk) => chunks.push(chunk)).on('end', async () => {
  try {
    const session = await ort.InferenceSession.create(Buffer.concat(chunks), {
      executionProviders: [name],
      logSeverityLevel: 4,
      extra: { session: { disable_cpu_ep_fallback: '1' } },
    });
    const x = new ort.Tensor('float32', Float32Array.from(JSON.parse(data)), JSON.parse(dims));
    const { y } = await session.run({ x });
    console.log(JSON.stringify({ result: [...y.data] }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
  process.exit();
});
`;

/**
 * Runs a small model on a provider of onnxruntime-node and on no other.
 * @returns Why it does not work, as the runtime says it; nothing if it does.
 */
export async function tryProvider(name: string): Promise<string | undefined> {
  const library = createRequire(import.meta.url).resolve('onnxruntime-node');
  const input = [PROBE_INPUT.dims, [...PROBE_INPUT.data]].map((value) => JSON.stringify(value));
  const { stdout, stderr, end } = await inOtherProcess(PROGRAM, [library, name, ...input], {
    input: probeModel('reduce-mean'),
    milliseconds: MAX_MILLISECONDS,
  });
  const line = stdout.split('\n').find((text) => text.startsWith('{"'));
  if (line === undefined) return `a trial in a process of its own ended with ${end}${lastOf(stderr)}`;
  const { result, error } = JSON.parse(line) as { result?: number[]; error?: string };
  if (result) return whyWrong(result);
  // The message that ONNX Runtime throws says less than what it writes beside it.
  const detail = /Failed to load library \S+ with error: (.*)/.exec(stderr)?.[1];
  return detail ?? withoutSource(error ?? 'it failed');
}

/** Without the places in ONNX Runtime's sources, and the conditions there, that a message may begin or end with. */
export const withoutSource = (message: string): string =>
  (/\b(?:CUDA|CUDNN|CUBLAS) failure .*?(?= *; GPU=|$)/.exec(message)?.[0] ?? message)
    .replace(/^\S+\.(?:cc|h):\d+ .* was false\. /, '')
    .trim();
