/**
 * The prebuilt binary of the kernel against a local build: processor time of runs on one thread, in pairs of processes.
 *
 *   npm run bench:prebuilt -- [pairs]
 *
 * A pair takes about 10 seconds.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { castTensor, createSession, type FloatDType } from '../lib/index.js';
import { groupNormModel, NATIVE } from './runners.js';
import { formatRatio, normalTensor, quantile, quartiles, table } from './statistics.js';

const CASES: readonly { readonly shape: readonly number[]; readonly dtype: FloatDType }[] = [
  { shape: [1, 320, 64, 64], dtype: 'float32' },
  { shape: [1, 320, 16, 16], dtype: 'float32' },
  { shape: [1, 512, 7, 7], dtype: 'float32' },
  { shape: [1, 320, 64, 64], dtype: 'float16' },
  { shape: [1, 320, 64, 64], dtype: 'bfloat16' },
  { shape: [1, 320, 64, 64], dtype: 'float64' },
];
const [ROUNDS, TURNS] = [4, 4];
const ONE_THREAD = { ...NATIVE, intraOpNumThreads: 1 };
const BINARIES = {
  prebuilt: `native/prebuilt/${process.platform}-${process.arch}/onnx_groupnorm.node`,
  local: 'native/build/Release/onnx_groupnorm.node',
};

/** Returns the microseconds of processor time that a run takes in this process, for each case. */
async function timesHere(): Promise<number[]> {
  const times = CASES.map(() => Infinity);
  // Where tensors lie in memory changes the time of small ones by a fifth: each round has tensors of its own.
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { shape, dtype }] of CASES.entries()) {
      const session = await createSession(groupNormModel(shape, 'op', dtype), ONE_THREAD);
      const [x, y] = [session.allocate(dtype, shape), session.allocate(dtype, shape)];
      x.data.set(castTensor(normalTensor(shape), dtype).data);
      const runs = Math.ceil(1e7 / x.data.length);
      for (let turn = 0; turn < TURNS; turn++) {
        const before = process.cpuUsage();
        for (let run = 0; run < runs; run++) await session.run({ x }, { outputs: { y }, sync: true });
        const { user, system } = process.cpuUsage(before);
        // What another process of the machine adds varies; the least is the binary's own.
        times[i] = Math.min(times[i]!, (user + system) / runs);
      }
      await session.dispose();
    }
  }
  return times;
}

function timesOf(binary: keyof typeof BINARIES): number[] {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const env = { ...process.env, ONNX_GROUPNORM_ADDON: join(root, BINARIES[binary]) };
  const args = ['--import', 'tsx', fileURLToPath(import.meta.url), 'child'];
  return JSON.parse(execFileSync(process.execPath, args, { cwd: root, env, encoding: 'utf8' })) as number[];
}

const [argument = '9'] = process.argv.slice(2);
if (argument === 'child') {
  console.log(JSON.stringify(await timesHere()));
} else {
  const pairs = Array.from({ length: Number(argument) }, (_, index) => {
    // Each goes first in every other pair.
    const first = index % 2 === 0 ? timesOf('prebuilt') : undefined;
    const local = timesOf('local');
    return { prebuilt: first ?? timesOf('prebuilt'), local };
  });
  const rows = CASES.map(({ shape, dtype }, i) => {
    const median = (binary: keyof typeof BINARIES) =>
      quantile(
        pairs.map((pair) => pair[binary][i]!),
        0.5,
      );
    const ratios = pairs.map(({ prebuilt, local }) => prebuilt[i]! / local[i]!);
    const times = [median('prebuilt'), median('local')].map((time) => `${time.toFixed(1)} µs`);
    return [`${shape.join('×')}, ${dtype}`, ...times, formatRatio(quartiles(ratios))];
  });
  console.log(table(['shape', 'prebuilt', 'local build', 'prebuilt / local (quartiles)'], rows));
}
