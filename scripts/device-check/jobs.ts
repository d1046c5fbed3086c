/** What a check is made of: jobs, each done by itself in a worker, in the order of what is to be known first. */
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
  /** What the session is asked to run GroupNormalization as; null leaves it to choose. */
  readonly asked: SessionLoweringName | null;
}

/** One GroupNormalization alone in one way, timed against the default where it is not the default itself. */
export interface TimingJob {
  readonly kind: 'timing';
  readonly provider: Provider;
  readonly shape: readonly number[];
  readonly dtype: FloatDType;
  readonly groupNorm: SessionLoweringName;
  readonly baseline: SessionLoweringName;
  /** At most: as many as half of `seconds` has room for. */
  readonly rounds: number;
  readonly seconds: number;
}

export type Job = CaseJob | TimingJob;

export interface Stage {
  readonly name: string;
  readonly jobs: readonly Job[];
}

/** What is to be checked. */
export interface Selection {
  readonly provider: Provider;
  /** How the provider's sessions run GroupNormalization by themselves. */
  readonly baseline: SessionLoweringName;
  readonly cases: readonly Case[];
  readonly opsets: readonly number[];
  readonly candidates: readonly SessionLoweringName[];
  readonly shapes: readonly (readonly number[])[];
  readonly dtypes: readonly FloatDType[];
  readonly rounds: number;
  /** What a job may take. */
  readonly seconds: number;
}

export interface Case {
  readonly name: string;
  readonly file: string;
  /** A case of a norm alone. */
  readonly isNorm: boolean;
}

const NORMS = ['group-norm', 'onnx'];
/** At fewer opsets: their norms differ in one operator, which `group-norm` tests at all of them. */
const NETWORKS = ['resnet-block', 'double-conv', 'unet', 'detection-backbone', 'norm-comparison'];
const NETWORK_OPSETS = [17, 21];

/** Every committed case. */
export const allCases = (): Case[] =>
  [...NORMS, ...NETWORKS].flatMap((folder) =>
    parityFixtures(folder).map((file) => ({
      name: `${folder} ${basename(file, '.safetensors')}`,
      file,
      isNorm: NORMS.includes(folder),
    })),
  );

/** Every case once comes first, and what says least that is new last, because time may end on the way. */
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

/** A case as sessions run it by themselves: as it is written by default, and in all other ways. */
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

/** What a job is called where progress is told. */
export const describeJob = (job: Job): string =>
  job.kind === 'case'
    ? `${job.name}, ${job.asked ?? `${job.lowering} at opset ${job.opset}`}`
    : `${job.shape.join('×')} ${job.dtype}, ${job.groupNorm}`;

/** The jobs of one way share a process, which no other way's failure reaches. The suite's is the default's. */
export const wayOf = (job: Job, baseline: SessionLoweringName): SessionLoweringName =>
  job.kind === 'case' ? (job.asked ?? baseline) : job.groupNorm;
