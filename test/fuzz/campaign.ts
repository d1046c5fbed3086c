/** Runs many cases in several processes, confirms what they find, and counts. */
import { type CaseId, makeCase } from './cases.js';
import type { Finding } from './probe.js';
import { type Outcome, Worker } from './worker.js';

export interface CampaignOptions {
  readonly seed: number;
  /** The number of cases, and the time when no more are started. */
  readonly cases?: number;
  readonly until?: number;
  /** The name of one format. */
  readonly only?: string | undefined;
  readonly processes: number;
  /** Is called after each case. */
  readonly onCase?: (done: number, found: number) => void;
  /** Is called with each finding at once: a campaign may take hours. */
  readonly onFinding?: (finding: ConfirmedFinding) => void;
}

export interface ConfirmedFinding extends Finding, CaseId {
  readonly format: string;
  /** Whether the case fails again, alone in a new process. */
  readonly isRepeatable: boolean;
}

/** Counts of one format. */
export interface Tally {
  cases: number;
  accepted: number;
  refused: number;
  endedRuns: number;
  /** The most memory that one call took, and that a process had after a case, in bytes. */
  peak: number;
  resident: number;
}

export interface Result {
  readonly findings: readonly ConfirmedFinding[];
  readonly tallies: ReadonlyMap<string, Tally>;
}

/** The cases of one seed: few, because fast-check makes a case by its number in a time that grows with the number. */
const CASES_OF_SEED = 20;

const caseId = (seed: number, number: number): CaseId => ({
  seed: seed + Math.floor(number / CASES_OF_SEED),
  path: String(number % CASES_OF_SEED),
});

/** Findings of which the fuzzer keeps no more: they are most often the same fault. */
const MOST_FINDINGS = 200;

export async function runCampaign(options: CampaignOptions): Promise<Result> {
  const { seed, only, cases = Infinity, until = Infinity } = options;
  const findings: ConfirmedFinding[] = [];
  const tallies = new Map<string, Tally>();
  let [next, done] = [0, 0];
  const work = async (): Promise<void> => {
    const worker = new Worker();
    while (next < cases && Date.now() < until && findings.length < MOST_FINDINGS) {
      const id = caseId(seed, next++);
      const outcome = await worker.run({ ...id, only, isAlone: false });
      count(tallies, outcome);
      for (const finding of outcome.findings.length ? await confirmed(id, only, outcome) : []) {
        findings.push(finding);
        options.onFinding?.(finding);
      }
      options.onCase?.(++done, findings.length);
    }
    worker.stop();
  };
  await Promise.all(Array.from({ length: options.processes }, work));
  return { findings, tallies };
}

/**
 * Runs a case again, alone in a new process. Memory and time of one case are hard to tell among others (garbage of earlier
 * cases, a busy machine), so that they count only if a call alone takes too much.
 */
async function confirmed(id: CaseId, only: string | undefined, first: Outcome): Promise<ConfirmedFinding[]> {
  const again = await runAlone(id, only);
  const isMeasured = ({ kind }: Finding) => kind === 'memory' || kind === 'time';
  const isAgain = (finding: Finding) =>
    again.findings.some(({ kind, way }) => kind === finding.kind && way === finding.way);
  const found = [
    ...first.findings.filter((finding) => !isMeasured(finding)),
    ...again.findings.filter(isMeasured),
  ];
  return found.map((finding) => ({
    ...finding,
    ...id,
    format: first.format,
    isRepeatable: isAgain(finding),
  }));
}

/** Cases that load and compile the code before a case is measured. */
const WARM = Array.from({ length: 20 }, (_, number) => String(number));

/** Runs a case in a process of its own. */
export async function runAlone(id: CaseId, only?: string, save?: string): Promise<Outcome> {
  const worker = new Worker();
  for (const path of WARM) await worker.run({ seed: 0, path, only, isAlone: false });
  const outcome = await worker.run({ ...id, only, isAlone: true, save });
  worker.stop();
  return outcome;
}

function count(tallies: Map<string, Tally>, outcome: Outcome): void {
  const { format } = outcome;
  const tally = tallies.get(format) ?? {
    cases: 0,
    accepted: 0,
    refused: 0,
    endedRuns: 0,
    peak: 0,
    resident: 0,
  };
  tallies.set(format, tally);
  tally.cases++;
  tally.accepted += outcome.accepted;
  tally.refused += outcome.refused;
  tally.endedRuns += Number(outcome.isRunEnded);
  tally.peak = Math.max(tally.peak, outcome.peak);
  tally.resident = Math.max(tally.resident, outcome.resident);
}

/**
 * Looks for a smaller case that fails in the same way.
 * @param until When to stop, in milliseconds as of `Date.now()`.
 * @returns The smallest that was found.
 */
export async function shrink(
  id: CaseId,
  kind: Finding['kind'],
  only: string | undefined,
  until: number,
): Promise<CaseId> {
  const worker = new Worker();
  let smallest = id;
  for (let step = 0; Date.now() < until; step++) {
    const smaller = { seed: id.seed, path: `${smallest.path}:${step}` };
    if (!hasCase(smaller, only)) break;
    const { findings } = await worker.run({
      ...smaller,
      only,
      isAlone: kind === 'memory' || kind === 'time',
    });
    if (!findings.some((finding) => finding.kind === kind)) continue;
    smallest = smaller;
    step = -1;
  }
  worker.stop();
  return smallest;
}

/** Whether fast-check can shrink a case to this path. */
function hasCase(id: CaseId, only: string | undefined): boolean {
  try {
    makeCase(id, only);
    return true;
  } catch {
    return false;
  }
}
