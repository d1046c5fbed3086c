/**
 * `npm run fuzz`: runs cases for some minutes, or one case again.
 *
 *   npm run fuzz -- --minutes 10 [--cases 5000] [--seed 1] [--only FORMAT] [--processes 2] [--json FILE]
 *   npm run fuzz -- --replay SEED:PATH [--only FORMAT] [--shrink] [--save FILE]
 */
import { parseArgs } from 'node:util';
import { reportOf, writeReport } from '../../bench/report.js';
import { runAlone, runCampaign, shrink } from './campaign.js';
import { FORMATS } from './formats.js';
import { mib } from './probe.js';
import { describeFinding, replayLine, rowsOf, summaryTable } from './report.js';
import { hasLimits } from './worker.js';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    cases: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string' },
    processes: { type: 'string', default: '2' },
    json: { type: 'string' },
    replay: { type: 'string' },
    shrink: { type: 'boolean', default: false },
    save: { type: 'string' },
  },
});
const { only } = values;
if (only !== undefined && !(only in FORMATS)) {
  throw new Error(`--only takes one of ${Object.keys(FORMATS).join(', ')}; got '${only}'`);
}
if (!hasLimits)
  console.error('prlimit is not here: only the heap of V8 has a limit, and hangs count by the clock');
process.exitCode = await (values.replay === undefined ? search() : replay(values.replay));

async function search(): Promise<number> {
  const seed = Number(values.seed);
  const start = Date.now();
  let shown = start;
  console.log(`seed ${seed}`);
  const result = await runCampaign({
    seed,
    only,
    cases: Number(values.cases),
    until: start + 60_000 * Number(values.minutes),
    processes: Number(values.processes),
    onFinding: (finding) => console.log(describeFinding(finding, only)),
    onCase(done, found) {
      if (Date.now() < shown + 10_000) return;
      shown = Date.now();
      console.log(`${Math.round((shown - start) / 1000)} s: ${done} cases, ${found} findings`);
    },
  });
  console.log(summaryTable(result));
  if (values.json !== undefined) {
    const command = `npm run fuzz -- --minutes ${values.minutes} --seed ${seed}`;
    writeReport(values.json, reportOf(command, rowsOf(result)), ({ format }) => format);
  }
  return result.findings.length > 0 ? 1 : 0;
}

async function replay(text: string): Promise<number> {
  const [, seed, path] = /^(-?\d+):([\d:]+)$/.exec(text) ?? [];
  if (seed === undefined || path === undefined) throw new Error(`--replay takes SEED:PATH; got '${text}'`);
  const id = { seed: Number(seed), path };
  const outcome = await runAlone(id, only, values.save);
  console.log(
    `${outcome.format}: accepted ${outcome.accepted}, refused ${outcome.refused}, peak ${mib(outcome.peak)}`,
  );
  for (const { kind, way, what } of outcome.findings) console.log(`${kind} in ${way}: ${what}`);
  const [first] = outcome.findings;
  if (first && values.shrink) {
    console.log(
      replayLine(await shrink(id, first.kind, only, Date.now() + 60_000 * Number(values.minutes)), only),
    );
  }
  return first ? 1 : 0;
}
