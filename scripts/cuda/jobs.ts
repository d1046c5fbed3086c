/** The jobs of a check, in stages with the most important results first. A worker does each job by itself. */
import { basename } from 'node:path';
import {
  loweringsAt,
  type FloatDType,
  type LoweringName,
  type Provider,
  type SessionLoweringName,
} from '../../lib/index.js';
import { DEFAULT_OPSET, defaultLowering } from '../../lib/lowering/choose.js';
import { parityFixtures } from '../../test/support/fixtures.js';

/** One committed case, written as one lowering at one opset, and run in one way. */
export interface CaseJob {
  readonly kind: 'case';
  /** `group-norm float16` */
  readonly name: string;
  readonly file: string;
  readonly provider: Provider;
  readonly lowering: LoweringName;
  readonly opset: number;
  /** The requested way to run GroupNormalization; null lets the session choose. */
  readonly asked: SessionLoweringName | null;
}

/** One GroupNormalization alone in one way, timed against the default way if it is another. */
export interface TimingJob {
  readonly kind: 'timing';
  readonly provider: Provider;
  readonly shape: readonly number[];
  readonly dtype: FloatDType;
  readonly groupNorm: SessionLoweringName;
  readonly baseline: SessionLoweringName;
  /** The largest number of rounds; half of `seconds` may have room for fewer. */
  readonly rounds: number;
  readonly seconds: number;
}

export type Job = CaseJob | TimingJob;

export interface Stage {
  readonly name: string;
  readonly jobs: readonly Job[];
}

/** The parts of the check that the command line selects. */
export interface Selection {
  readonly provider: Provider;
  /** How the provider's sessions run GroupNormalization by default. */
  readonly baseline: SessionLoweringName;
  readonly cases: readonly Case[];
  readonly opsets: readonly number[];
  readonly candidates: readonly SessionLoweringName[];
  readonly shapes: readonly (readonly number[])[];
  readonly dtypes: readonly FloatDType[];
  readonly rounds: number;
  /** Time limit of a job. */
  readonly seconds: number;
}

export interface Case {
  readonly name: string;
  readonly file: string;
  /** Whether the case is a single norm. */
  readonly isNorm: boolean;
}

const NORMS = ['group-norm', 'onnx'];
/** Networks run at fewer opsets, because the cases of `group-norm` test the operator at every opset. */
const NETWORKS = ['resnet-block', 'double-conv', 'unet', 'detection-backbone', 'norm-comparison'];
const NETWORK_OPSETS = [17, 21];

/** Returns every committed case. */
export const allCases = (): Case[] =>
  [...NORMS, ...NETWORKS].flatMap((folder) =>
    parityFixtures(folder).map((file) => ({
      name: `${folder} ${basename(file, '.safetensors')}`,
      file,
      isNorm: NORMS.includes(folder),
    })),
  );

/** Returns the stages: every case once comes first, and the least informative jobs last, because time may run out. */
export function planStages(selection: Selection): Stage[] {
  const { dtypes } = selection;
  const suite = selection.cases.flatMap((one) => suiteJobs(selection, one));
  const [once, again] = [suite.map(({ once }) => once), suite.flatMap(({ again }) => again)];
  const [firstDType, ...otherDTypes] = dtypes;
  return [
    { name: 'suite, every case once', jobs: once.flat() },
    { name: `timings, ${firstDType}`, jobs: timingJobs(selection, firstDType!) },
    { name: 'candidates', jobs: selection.cases.flatMap((one) => candidateJobs(selection, one)) },
    ...otherDTypes.map((dtype) => ({ name: `timings, ${dtype}`, jobs: timingJobs(selection, dtype) })),
    { name: 'suite, every opset and lowering', jobs: again },
  ].filter(({ jobs }) => jobs.length > 0);
}

/** Returns the jobs of a case as sessions run it by default: the default model first, and all other models. */
function suiteJobs(
  { provider, opsets }: Selection,
  { name, file, isNorm }: Case,
): { readonly once: CaseJob[]; readonly again: CaseJob[] } {
  const own = opsets.filter((opset) => isNorm || NETWORK_OPSETS.includes(opset));
  const main = own.includes(DEFAULT_OPSET) ? DEFAULT_OPSET : Math.max(...own);
  const jobs = own.flatMap((opset) =>
    loweringsAt(opset).map((lowering): CaseJob => ({
      kind: 'case',
      name,
      file,
      provider,
      lowering,
      opset,
      asked: null,
    })),
  );
  const isMain = ({ opset, lowering }: CaseJob) => opset === main && lowering === defaultLowering(opset);
  return { once: jobs.filter(isMain), again: jobs.filter((job) => !isMain(job)) };
}

const candidateJobs = ({ provider, candidates }: Selection, { name, file, isNorm }: Case): CaseJob[] =>
  (isNorm ? candidates : []).map((asked) => ({
    kind: 'case',
    name,
    file,
    provider,
    lowering: 'op',
    opset: DEFAULT_OPSET,
    asked,
  }));

function timingJobs(selection: Selection, dtype: FloatDType): TimingJob[] {
  const { provider, baseline, rounds, seconds } = selection;
  const ways = [baseline, ...selection.candidates.filter((name) => name !== baseline)];
  return selection.shapes.flatMap((shape) =>
    ways.map((groupNorm): TimingJob => ({
      kind: 'timing',
      provider,
      shape,
      dtype,
      groupNorm,
      baseline,
      rounds,
      seconds,
    })),
  );
}

/** Returns the name of a job for progress messages. */
export const describeJob = (job: Job): string =>
  job.kind === 'case'
    ? `${job.name}, ${job.asked ?? `${job.lowering} at opset ${job.opset}`}`
    : `${job.shape.join('×')} ${job.dtype}, ${job.groupNorm}`;

/** Returns the way of a job, whose jobs share a process. The suite runs in the process of the default way. */
export const wayOf = (job: Job, baseline: SessionLoweringName): SessionLoweringName =>
  job.kind === 'case' ? (job.asked ?? baseline) : job.groupNorm;
