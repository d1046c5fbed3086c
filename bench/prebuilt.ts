/**
 * The prebuilt binary of the kernel against a local build: processor time of runs on one thread, in pairs of processes.
 *
 *   npm run bench:prebuilt -- [pairs]
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createSession } from '../lib/index.js';
import { groupNormModel, megabytes, NATIVE } from './runners.js';
import { formatRatio, normalTensor, quantile, quartiles, table } from './statistics.js';

const SHAPES = [
  [1, 320, 64, 64],
  [1, 320, 16, 16],
  [1, 512, 7, 7],
];
const BINARIES = {
  prebuilt: `native/prebuilt/${process.platform}-${process.arch}/onnx_groupnorm.node`,
  local: 'native/build/Release/onnx_groupnorm.node',
};

/** Returns the microseconds of processor time that a run takes in this process, for each shape. */
async function timesHere(): Promise<number[]> {
  const times: number[] = [];
  for (const shape of SHAPES) {
    const session = await createSession(groupNormModel(shape), { ...NATIVE, intraOpNumThreads: 1 });
    const x = normalTensor(shape);
    const y = session.allocate('float32', shape);
    const runs = Math.ceil(2e7 / x.data.length);
    const turn = async (): Promise<number> => {
      const before = process.cpuUsage();
      for (let i = 0; i < runs; i++) await session.run({ x }, { outputs: { y }, sync: true });
      const { user, system } = process.cpuUsage(before);
      return (user + system) / runs;
    };
    await turn();
    const turns = [];
    for (let i = 0; i < 9; i++) turns.push(await turn());
    // What another process of the machine adds varies; the least is the binary's own.
    times.push(Math.min(...turns));
    await session.dispose();
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
  const rows = SHAPES.map((shape, i) => {
    const median = (binary: keyof typeof BINARIES) =>
      quantile(
        pairs.map((pair) => pair[binary][i]!),
        0.5,
      );
    const ratios = pairs.map(({ prebuilt, local }) => prebuilt[i]! / local[i]!);
    const times = [median('prebuilt'), median('local')].map((time) => `${time.toFixed(1)} µs`);
    return [`${shape.join('×')}, ${megabytes(shape)}`, ...times, formatRatio(quartiles(ratios))];
  });
  console.log(table(['shape', 'prebuilt', 'local build', 'prebuilt / local (quartiles)'], rows));
}
