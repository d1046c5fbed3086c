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
  /** The packages of ONNX Runtime. */
  readonly packages: Readonly<Record<string, string>>;
  /** The libraries of ONNX Runtime, CUDA and cuDNN that the process had loaded, by their files' names. */
  readonly libraries: readonly string[];
}

/** One committed case, written as one lowering at one opset, and run in one way. */
export interface CaseRow {
  readonly name: string;
  readonly lowering: string;
  readonly opset: number;
  /** What the session was asked to run GroupNormalization as; null where it was left to choose. */
  readonly asked: SessionLoweringName | null;
  /** What it ran as; null where it did not run, or the model has no such operator. */
  readonly ranAs: string | null;
  readonly outcome: 'passed' | 'failed' | 'refused';
  /** Largest difference from PyTorch; null where there is none, or it is not finite. */
  readonly error: number | null;
  /** Why it failed, or was refused. */
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
  /** Milliseconds of one norm of several in a row, over the rounds. */
  readonly ms: Quartiles;
  /** How many times as fast as the provider's default, round by round. */
  readonly speedup: Quartiles;
  readonly errors: readonly InputError[];
  /** How many nodes ran where; null where the runtime writes no profile. */
  readonly placement: Readonly<Record<string, number>> | null;
}

/** A way that a shape cannot be run in. */
export interface Refusal {
  readonly shape: readonly number[];
  readonly dtype: FloatDType;
  readonly groupNorm: string;
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

export interface DeviceReport {
  readonly provider: Provider;
  readonly date: string;
  readonly device: Device;
  /** How the provider's sessions run GroupNormalization where nobody says how. */
  readonly defaultGroupNorm: string;
  readonly rounds: number;
  /** As sessions run it by themselves: every case has to pass. */
  readonly suite: readonly CaseRow[];
  /** Each way by name: what there is to choose from. */
  readonly candidates: readonly CaseRow[];
  readonly timings: readonly Timing[];
  readonly refusals: readonly Refusal[];
  readonly winners: readonly Winner[];
}
