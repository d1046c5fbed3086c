/**
 * Loading a model: what rewriting costs, and this checkout against another one. Each contestant runs in a process of its
 * own, in alternating order; ratios are quartiles of the rounds' own ratios.
 *
 *   npm run bench:load -- [rounds] [--provider NAME] [--against FOLDER]
 *
 * FOLDER is another checkout of this repository, with its dependencies, and its addon for `native`.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { encodeModel, GraphBuilder, op, tensor, type Provider } from '../lib/index.js';
import type { LoadSpec } from './load-process.js';
import {
  type Contestant,
  formatRatio,
  machine,
  pairedTurns,
  quantile,
  speedup,
  table,
} from './statistics.js';

const NORMS = 667;
const SHAPE = ['N', 8, 16, 16];
/** Loads in one turn. */
const CALLS = 4;

/** 2,000 nodes: a Relu, then Tanh or InstanceNormalization, then an Add, over and over. */
function model(hasNorms: boolean): Uint8Array {
  const g = new GraphBuilder('load');
  const vector = (value: number) => g.constant(tensor('float32', [8], new Float32Array(8).fill(value)));
  let x = g.input('x', 'float32', SHAPE);
  for (let block = 1; block <= NORMS; block++) {
    const hidden = op.relu(g, x);
    x = hasNorms ? op.instanceNormalization(g, hidden, vector(1.5), vector(0.5), {}) : op.tanh(g, hidden);
    if (block < NORMS) x = op.add(g, x, hidden);
  }
  g.output('y', x);
  return encodeModel(g.build(), new Map(), { opset: 21 });
}

const OWN = fileURLToPath(new URL('..', import.meta.url));

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { provider: { type: 'string', default: 'cpu' }, against: { type: 'string' } },
    allowPositionals: true,
  });
  const rounds = Number(positionals[0] ?? 20);
  const provider = values.provider as Provider;
  console.log(`${machine()}, ${provider}, ${CALLS} loads a turn, ${rounds} rounds\n`);
  const [plain, norms] = [model(false), model(true)];
  const settings: Record<string, Omit<LoadSpec, 'folder'>> = {
    '2,000 nodes': { task: 'createSession', model: plain, options: { providers: [provider] } },
    '667 InstanceNormalizations in 2,000 nodes': {
      task: 'createSession',
      model: norms,
      options: { providers: [provider] },
    },
    'the same, not rewritten': {
      task: 'createSession',
      model: norms,
      options: { providers: [provider], groupNorm: 'instance-norm' },
    },
    'the same, convertModel': { task: 'convertModel', model: norms, options: {} },
  };
  const specs = Object.entries(settings).flatMap(([setting, spec]) => [
    [setting, { ...spec, folder: OWN }] as const,
    ...(values.against === undefined
      ? []
      : [[`${setting}, other checkout`, { ...spec, folder: values.against }] as const]),
  ]);
  const times = await timeLoads(Object.fromEntries(specs), rounds);
  const [, rewritten, unchanged] = Object.keys(settings) as [string, string, string];
  const rows = Object.keys(settings).map((setting) => {
    const other = `${setting}, other checkout`;
    const isMeasured = times[other] !== undefined;
    return [
      setting,
      quantile(times[setting]!, 0.5).toFixed(1),
      ...(isMeasured
        ? [quantile(times[other]!, 0.5).toFixed(1), formatRatio(speedup(times, setting, other))]
        : []),
    ];
  });
  const head = [
    '',
    'ms',
    ...(values.against === undefined ? [] : ['other checkout, ms', 'faster (quartiles)']),
  ];
  console.log(table(head, rows));
  console.log(
    `\nLoading with rewritten nodes takes ${formatRatio(speedup(times, unchanged, rewritten))} the time without.`,
  );
}

async function timeLoads(specs: Readonly<Record<string, LoadSpec>>, rounds: number) {
  const contestants: Record<string, Contestant> = {};
  try {
    for (const [name, spec] of Object.entries(specs)) contestants[name] = await startProcess(spec);
    const turns = Object.entries(contestants).map(([name, { turn }]) => [name, turn] as const);
    return await pairedTurns(Object.fromEntries(turns), rounds, CALLS, CALLS);
  } finally {
    await Promise.all(Object.values(contestants).map((contestant) => contestant.end()));
  }
}

async function startProcess(spec: LoadSpec): Promise<Contestant> {
  const program = fileURLToPath(new URL('load-process.ts', import.meta.url));
  const child = fork(program, { execArgv: ['--import', 'tsx'], serialization: 'advanced' });
  const exit = once(child, 'exit') as Promise<[number | null]>;
  const reply = async (message: LoadSpec | number): Promise<unknown> => {
    const answer = once(child, 'message') as Promise<[unknown]>;
    child.send(message);
    const [value] = await Promise.race([
      answer,
      exit.then(([code]) => Promise.reject(new Error(`the process ended with ${code}`))),
    ]);
    return value;
  };
  await reply(spec);
  return {
    turn: async (calls) => (await reply(calls)) as number,
    async end() {
      if (child.connected) child.disconnect();
      await exit;
    },
  };
}

await main();
