/**
 * Puts `onnx-groupnorm serve` under load for minutes, and reads its resident memory: clients with requests of mixed sizes, in JSON
 * and as binary tensors, every tenth of which leaves in the middle of its request or before its answer.
 *
 *   npm run bench:endurance -- [--seconds 180] [--clients 16] [--json FILE]
 *
 * It fails if an answer is wrong, or if the memory of the last third is above that of the second by more than a tenth.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  createSession,
  encodeModel,
  GraphBuilder,
  initializeWeights,
  op,
  type TensorData,
} from '../lib/index.js';
import { reportOf, writeReport } from './report.js';
import { machine, normalTensor, quantile, table } from './statistics.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '180' },
    clients: { type: 'string', default: '16' },
    json: { type: 'string' },
  },
});
const seconds = Number(values.seconds);

/** What a third of the time has seen. */
export interface EnduranceRow {
  readonly third: number;
  readonly answered: number;
  /** Requests whose client left. */
  readonly left: number;
  /** Resident memory of the server, in MB: the median and the largest of samples each second. */
  readonly memory: number;
  readonly mostMemory: number;
}

const CHANNELS = 32;
/** Elements from 32 kB to 8 MB; JSON only of the small sizes. */
const SIZES = [16, 24, 48, 96, 160, 256];
const JSON_SIZE = 24;

interface Sample {
  readonly size: number;
  readonly isBinary: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly expected: Float32Array;
}

function model(): Uint8Array {
  const g = new GraphBuilder('norm-silu');
  const norm = g.scope('norm');
  const weight = norm.parameter('weight', { dtype: 'float32', shape: [CHANNELS], init: 'ones' });
  const bias = norm.parameter('bias', { dtype: 'float32', shape: [CHANNELS], init: 'zeros' });
  const x = g.input('x', 'float32', ['N', CHANNELS, 'H', 'W']);
  g.output('y', op.silu(norm, op.groupNormalization(norm, x, weight, bias, { numGroups: 8 })));
  const graph = g.build();
  return encodeModel(graph, initializeWeights(graph));
}

function encode(x: TensorData, isBinary: boolean): Pick<Sample, 'headers' | 'body'> {
  const input = { name: 'x', shape: x.dims, datatype: 'FP32' };
  if (!isBinary) {
    const body = Buffer.from(
      JSON.stringify({ inputs: [{ ...input, data: Array.from(x.data as Float32Array) }] }),
    );
    return { headers: {}, body };
  }
  const { buffer, byteOffset, byteLength } = x.data as Float32Array<ArrayBuffer>;
  const json = Buffer.from(
    JSON.stringify({
      inputs: [{ ...input, parameters: { binary_data_size: byteLength } }],
      parameters: { binary_data_output: true },
    }),
  );
  return {
    headers: { 'inference-header-content-length': String(json.length) },
    body: Buffer.concat([json, Buffer.from(buffer, byteOffset, byteLength)]),
  };
}

async function makeSamples(file: string): Promise<Sample[]> {
  await using session = await createSession(file, { providers: ['native'] });
  const samples: Sample[] = [];
  for (const size of SIZES) {
    const x = normalTensor([1, CHANNELS, size, size]);
    const { y } = await session.run({ x });
    for (const isBinary of size <= JSON_SIZE ? [true, false] : [true])
      samples.push({ size, isBinary, ...encode(x, isBinary), expected: y!.data as Float32Array });
  }
  return samples;
}

function elementsOf(sample: Sample, jsonLength: number, answer: Buffer): Float32Array {
  if (sample.isBinary) return new Float32Array(new Uint8Array(answer.subarray(jsonLength)).buffer);
  const { outputs } = JSON.parse(answer.toString()) as { outputs: [{ data: number[] }] };
  return new Float32Array(outputs[0].data);
}

/** Sends a request. @returns What its answer says, or `undefined` where the client leaves. */
async function send(
  url: string,
  agent: Agent,
  sample: Sample,
  leave: 'never' | 'sending' | 'waiting',
): Promise<string | undefined> {
  const headers = { ...sample.headers, 'content-length': sample.body.length };
  const sent = request(url, { method: 'POST', agent, headers });
  if (leave === 'sending') {
    sent.on('error', () => {});
    sent.write(sample.body.subarray(0, sample.body.length / 2));
    await setTimeout(5);
    sent.destroy();
    return undefined;
  }
  sent.end(sample.body);
  if (leave === 'waiting') {
    sent.on('error', () => {});
    await setTimeout(2);
    sent.destroy();
    return undefined;
  }
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const answer = Buffer.concat(chunks);
  if (response.statusCode !== 200) return `${response.statusCode} ${answer.toString().slice(0, 200)}`;
  const jsonLength = Number(response.headers['inference-header-content-length'] ?? 0);
  const actual = elementsOf(sample, jsonLength, answer);
  const isRight =
    actual.length === sample.expected.length && actual.every((value, i) => value === sample.expected[i]);
  return isRight ? 'right' : `other numbers for ${sample.size} × ${sample.size}`;
}

const memoryOf = (pid: number): number => {
  const kilobytes = /VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kilobytes) * 1024) / 1e6;
};

const folder = mkdtempSync(join(tmpdir(), 'bench-endurance-'));
const file = join(folder, 'model.onnx');
writeFileSync(file, model());
const samples = await makeSamples(file);
const cli = fileURLToPath(new URL('../lib/cli/main.ts', import.meta.url));
const serve = [
  '--import',
  'tsx',
  cli,
  'serve',
  file,
  '--model-name',
  'model',
  '--port',
  '0',
  '--max-batch-size',
  '4',
];
const server = spawn(process.execPath, serve, { stdio: ['ignore', 'pipe', 'inherit'] });
try {
  let address: string | undefined;
  for await (const line of createInterface(server.stdout)) {
    address = /http:\/\/[\d.]+:\d+/.exec(line)?.[0];
    if (address !== undefined) break;
  }
  if (address === undefined) throw new Error('the server ended before it listened');
  while (!(await fetch(`${address}/v2/health/ready`)).ok) await setTimeout(100);
  const url = `${address}/v2/models/model/infer`;
  const begin = performance.now();
  const thirdNow = (): number =>
    Math.min(2, Math.floor((performance.now() - begin) / (1000 * (seconds / 3))));
  const thirds = [0, 1, 2].map(() => ({ answered: 0, left: 0, memory: [] as number[] }));
  const isOver = (): boolean => performance.now() - begin >= 1000 * seconds;

  const useClient = async (client: number): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let count = client; !isOver(); count++) {
      const sample = samples[(count * 7 + client) % samples.length]!;
      const leave = count % 10 !== 0 ? 'never' : count % 20 === 0 ? 'sending' : 'waiting';
      const answer = await send(url, agent, sample, leave);
      if (answer !== undefined && answer !== 'right') throw new Error(answer);
      const third = thirds[thirdNow()]!;
      if (answer === undefined) third.left += 1;
      else third.answered += 1;
    }
    agent.destroy();
  };
  const watchMemory = async (): Promise<void> => {
    for (; !isOver(); await setTimeout(1000)) thirds[thirdNow()]!.memory.push(memoryOf(server.pid!));
  };
  await Promise.all([
    watchMemory(),
    ...Array.from({ length: Number(values.clients) }, (_, i) => useClient(i)),
  ]);

  const rows: EnduranceRow[] = thirds.map(({ answered, left, memory }, third) => ({
    third: third + 1,
    answered,
    left,
    memory: quantile(memory, 0.5),
    mostMemory: Math.max(...memory),
  }));
  console.log(`${machine()}, ${seconds} s, ${values.clients} clients\n`);
  const cells = rows.map((row) => [
    row.third,
    row.answered,
    row.left,
    row.memory.toFixed(0),
    row.mostMemory.toFixed(0),
  ]);
  console.log(
    table(
      ['third', 'answered', 'left by their client', 'memory, MB', 'at most, MB'],
      cells.map((row) => row.map(String)),
    ),
  );
  if (values.json !== undefined)
    writeReport(values.json, reportOf('npm run bench:endurance', rows), ({ third }) => String(third));
  const [, second, last] = rows;
  if (last!.memory > 1.1 * second!.memory) throw new Error('the memory of the server grows');
} finally {
  server.kill('SIGTERM');
  await Promise.race([once(server, 'exit'), setTimeout(15_000)]);
  server.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}
