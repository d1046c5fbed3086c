/** What a check of one execution provider on one machine came to: the data of the report. */
import type { Quartiles } from '../../bench/statistics.js';
import type { FloatDType, Provider, SessionLoweringName } from '../../lib/index.js';

/** The machine, as far as it bears on the figures. */
export interface Device {
  /** The GPU's, or for providers without one the processor's. */
  readonly name: string;
  /** What nvidia-smi says besides: driver, memory, compute capability. */
  readonly details: Readonly<Record<string, string>>;
  readonly node: string;
  readonly platform: string;
  /** The packages of ONNX Runtime, and those of NVIDIA from PyPI that libraries were loaded from. */
  readonly packages: Readonly<Record<string, string>>;
  /** The libraries of ONNX Runtime, CUDA and cuDNN that were loaded, by their files' names. */
  readonly libraries: readonly string[];
  /** Variables that change results, as they are behind the first session; null where one is not set. */
  readonly environment: Readonly<Record<string, string | null>>;
}

/** How a job ended that has no result. A process that crashed, or took too long, is not asked again. */
export type Ending = 'failed' | 'refused' | 'crashed' | 'timed out';

/** One committed case, written as one lowering at one opset, and run in one way. */
export interface CaseRow {
  readonly name: string;
  readonly lowering: string;
  readonly opset: number;
  /** What the session was asked to run GroupNormalization as; null where it was left to choose. */
  readonly asked: SessionLoweringName | null;
  /** What it ran as; null where it did not run, or the model has no such operator. */
  readonly ranAs: string | null;
  readonly outcome: 'passed' | Ending;
  /** Largest difference from PyTorch; null where there is none, or it is not finite. */
  readonly error: number | null;
  /** Why it did not pass. */
  readonly reason?: string;
}

/** How far the results for one kind of input are from float64. */
export interface InputError {
  readonly input: string;
  /** null: not finite. */
  readonly maxAbs: number | null;
  /** In units of what `assert_close` allows the dtype: 1 and less passes. */
  readonly excess: number | null;
}

/** One GroupNormalization alone, run in one way. */
export interface Timing {
  readonly shape: readonly number[];
  readonly dtype: FloatDType;
  readonly groupNorm: string;
  /** How many were timed: fewer than were asked for where they would have taken too long. */
  readonly rounds: number;
  /** Milliseconds of one norm of several in a row, over the rounds; null where it could not be timed. */
  readonly ms: Quartiles | null;
  /** How many times as fast as the provider's default, round by round; null where one of them could not be timed. */
  readonly speedup: Quartiles | null;
  readonly errors: readonly InputError[];
  /** How many nodes ran where; null where the runtime writes no profile. */
  readonly placement: Readonly<Record<string, number>> | null;
  /** What could not be measured, and why. */
  readonly problems: readonly string[];
}

/** A way in which a shape did not run, or took its process along. */
export interface Untimed {
  readonly shape: readonly number[];
  readonly dtype: FloatDType;
  readonly groupNorm: string;
  readonly outcome: Ending;
  readonly reason: string;
}

/** The best way to run a shape. */
export interface Winner {
  readonly shape: readonly number[];
  readonly dtype: FloatDType;
  /** null where none is accurate. */
  readonly groupNorm: string | null;
  readonly because: string;
}

/** How far a part of the check has come. */
export interface StageCount {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

export interface DeviceReport {
  readonly provider: Provider;
  readonly date: string;
  /** Whether everything that was selected was tried. */
  readonly complete: boolean;
  /** Why it is not complete. */
  readonly stopped: string | null;
  readonly stages: readonly StageCount[];
  /** The options that selected less than there is. */
  readonly narrowedBy: readonly string[];
  readonly device: Device;
  /** How the provider's sessions run GroupNormalization by default. */
  readonly defaultGroupNorm: string;
  readonly rounds: number;
  /** As sessions run it by themselves: every case has to pass. */
  readonly suite: readonly CaseRow[];
  /** Each way by name: what there is to choose from. */
  readonly candidates: readonly CaseRow[];
  readonly timings: readonly Timing[];
  readonly untimed: readonly Untimed[];
  readonly winners: readonly Winner[];
}
