/** The data of a report on one execution provider on one machine, and the choice of the best way for each shape. */
import { formatRatio, type Quartiles } from '../../bench/statistics.js';
import type { FloatDType, Provider, SessionLoweringName } from '../../lib/index.js';

/** The parts of the machine that influence the figures. */
export interface Device {
  /** The name of the GPU, or of the processor for providers without a GPU. */
  readonly name: string;
  /** Further output of nvidia-smi: driver, memory, compute capability. */
  readonly details: Readonly<Record<string, string>>;
  readonly node: string;
  readonly platform: string;
  /** The packages of ONNX Runtime, and NVIDIA's packages from PyPI that libraries were loaded from. */
  readonly packages: Readonly<Record<string, string>>;
  /** The file names of the loaded libraries of ONNX Runtime, CUDA and cuDNN. */
  readonly libraries: readonly string[];
  /** Environment variables that change results, read after the first session; null if not set. */
  readonly environment: Readonly<Record<string, string | null>>;
}

/** How a job without a result ended. A process that crashed or took too long gets no other job. */
export type Ending = 'failed' | 'refused' | 'crashed' | 'timed out';

/** One committed case, written as one lowering at one opset, and run in one way. */
export interface CaseRow {
  readonly name: string;
  readonly lowering: string;
  readonly opset: number;
  /** The requested way to run GroupNormalization; null where the session chose. */
  readonly asked: SessionLoweringName | null;
  /** The way that ran; null where no session ran, or the model has no such operator. */
  readonly ranAs: string | null;
  readonly outcome: 'passed' | Ending;
  /** Largest difference from PyTorch; null without a result, or where it is not finite. */
  readonly error: number | null;
  /** Why it did not pass. */
  readonly reason?: string;
}

/** Distance of the results from float64, for one kind of input. */
export interface InputError {
  readonly input: string;
  /** null: not finite. */
  readonly maxAbs: number | null;
  /** In units of `assert_close`'s tolerance for the dtype: at most 1 passes. */
  readonly excess: number | null;
}

/** One GroupNormalization alone, run in one way. */
export interface Timing {
  readonly shape: readonly number[];
  readonly dtype: FloatDType;
  readonly groupNorm: string;
  /** Timed rounds: fewer than requested where they would take too long. */
  readonly rounds: number;
  /** Milliseconds of one norm in a chain of norms, over the rounds; null where it could not be timed. */
  readonly ms: Quartiles | null;
  /** Speed in multiples of the provider's default, round by round; null where one of the two could not be timed. */
  readonly speedup: Quartiles | null;
  readonly errors: readonly InputError[];
  /** How many nodes ran on each provider; null where the runtime writes no profile. */
  readonly placement: Readonly<Record<string, number>> | null;
  /** What could not be measured, and why. */
  readonly problems: readonly string[];
}

/** A way that did not run a shape, or crashed its process. */
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
  /** null where no way is accurate. */
  readonly groupNorm: string | null;
  readonly because: string;
}

/** Progress of a part of the check. */
export interface StageCount {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

export interface DeviceReport {
  readonly provider: Provider;
  readonly date: string;
  /** Whether every selected job was tried. */
  readonly complete: boolean;
  /** Why it is not complete. */
  readonly stopped: string | null;
  readonly stages: readonly StageCount[];
  /** The options that left jobs out. */
  readonly narrowedBy: readonly string[];
  readonly device: Device;
  /** How the provider's sessions run GroupNormalization by default. */
  readonly defaultGroupNorm: string;
  readonly rounds: number;
  /** The cases as sessions run them by default: every case must pass. */
  readonly suite: readonly CaseRow[];
  /** The cases in each way by name, to choose a default from. */
  readonly candidates: readonly CaseRow[];
  readonly timings: readonly Timing[];
  readonly untimed: readonly Untimed[];
  readonly winners: readonly Winner[];
}

/**
 * Returns the best way for each shape: the fastest of those within `assert_close`'s tolerance for every input. The
 * default stays unless another way is faster in three rounds out of four, or the default is not accurate.
 */
export function chooseWinners(timings: readonly Timing[], defaultGroupNorm: string): Winner[] {
  const keys = [...new Set(timings.map(keyOf))];
  return keys.map((key) =>
    chooseWinner(
      timings.filter((one) => keyOf(one) === key),
      defaultGroupNorm,
    ),
  );
}

const keyOf = ({ shape, dtype }: Timing): string => `${shape.join('×')} ${dtype}`;

function chooseWinner(ways: readonly Timing[], defaultGroupNorm: string): Winner {
  const { shape, dtype } = ways[0]!;
  const accurate = ways.filter(isTimed).filter(isAccurate);
  const [fastest] = accurate.sort((a, b) => a.ms.median - b.ms.median);
  if (!fastest)
    return { shape, dtype, groupNorm: null, because: 'no way is within the tolerance for every input' };
  if (!accurate.some(({ groupNorm }) => groupNorm === defaultGroupNorm)) {
    const because = `the fastest accurate way: ${defaultGroupNorm}, the default, is not accurate, or did not run`;
    return { shape, dtype, groupNorm: fastest.groupNorm, because };
  }
  if (fastest.groupNorm === defaultGroupNorm) {
    return { shape, dtype, groupNorm: defaultGroupNorm, because: 'the fastest accurate way' };
  }
  if (!fastest.speedup) {
    const because = `${fastest.groupNorm} could not be timed against it`;
    return { shape, dtype, groupNorm: defaultGroupNorm, because };
  }
  const gain = `${fastest.groupNorm}: ${formatRatio(fastest.speedup)} as fast as ${defaultGroupNorm}`;
  return fastest.speedup.low > 1
    ? { shape, dtype, groupNorm: fastest.groupNorm, because: gain }
    : { shape, dtype, groupNorm: defaultGroupNorm, because: `${gain}, which is no certain gain` };
}

const isTimed = (timing: Timing): timing is Timing & { readonly ms: Quartiles } => timing.ms !== null;

const isAccurate = ({ errors }: Timing): boolean =>
  errors.every(({ excess }) => excess !== null && excess <= 1);
