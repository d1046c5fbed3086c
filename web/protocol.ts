/** The messages between the page and its worker. */
import type { LoweringName, Provider, ProviderFallback } from '../lib/browser.js';
import type { FloatDType } from '../lib/tensor.js';

/** Where the parameters come from: random numbers, the visitor's file, or the demo's trained weights. */
export type WeightsSource =
  | { readonly from: 'seed'; readonly seed: number }
  | { readonly from: 'file'; readonly file: File; readonly prefix: string }
  | { readonly from: 'demo' };

/** Everything that determines a model. */
export interface ModelSpec {
  readonly graph: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly dtype: FloatDType;
  readonly opset: number;
  readonly lowering: LoweringName;
  readonly weights: WeightsSource;
}

/** Where the input of a run comes from. */
export type InputSource =
  | { readonly from: 'random'; readonly batch: number; readonly size: number; readonly seed: number }
  | { readonly from: 'image'; readonly image: Blob }
  | { readonly from: 'demo' };

export type WebProvider = Extract<Provider, 'wasm' | 'webgpu'>;

/** A tensor's name, and its dtype and shape as text. */
export interface ValueSummary {
  readonly name: string;
  readonly type: string;
}

export interface ModelSummary {
  readonly graph: string;
  readonly bytes: number;
  readonly opset: number;
  readonly irVersion: number;
  readonly lowering: string;
  /** The operators and the number of nodes of each, the most frequent first. */
  readonly operators: readonly (readonly [opType: string, count: number])[];
  readonly parameterTensors: number;
  readonly parameterElements: number;
  readonly inputs: readonly ValueSummary[];
  readonly outputs: readonly ValueSummary[];
}

export interface BuildResult {
  readonly summary: ModelSummary;
  /** The `.onnx` file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface Picture {
  readonly title: string;
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** Figures of one output, which show at a glance whether it makes sense. */
export interface OutputFigures extends ValueSummary {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly notFinite: number;
}

/** The comparison of the demo's result with PyTorch's. */
export interface Comparison {
  readonly framework: string;
  readonly passed: boolean;
  readonly samePixels: number;
  readonly pixels: number;
  readonly maxAbs: number;
  readonly rtol: number;
  readonly atol: number;
}

export interface RunResult {
  readonly provider: Provider;
  readonly groupNorm: string | undefined;
  readonly fallbacks: readonly ProviderFallback[];
  readonly loadMilliseconds: number;
  readonly runMilliseconds: number;
  readonly input: string;
  readonly outputs: readonly OutputFigures[];
  readonly pictures: readonly Picture[];
  readonly comparison: Comparison | undefined;
}

export interface Quartiles {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

export interface TimingsResult {
  readonly provider: Provider;
  readonly input: string;
  readonly rounds: number;
  /** Milliseconds per call. */
  readonly lowerings: readonly { readonly name: string; readonly milliseconds: Quartiles }[];
}

export interface ParityCase {
  readonly name: string;
  readonly graph: string;
  readonly status: 'passed' | 'failed' | 'not run';
  readonly maxAbs: number | undefined;
  readonly rtol: number | undefined;
  readonly atol: number | undefined;
  readonly problem: string | undefined;
}

/** The tasks of the worker: their inputs and results. */
export interface Tasks {
  build: { input: { spec: ModelSpec }; result: BuildResult };
  run: {
    input: { spec: ModelSpec; provider: WebProvider; source: InputSource };
    result: RunResult;
  };
  timings: {
    input: { spec: ModelSpec; provider: WebProvider; source: InputSource };
    result: TimingsResult;
  };
  /** Sends a message for each case as it finishes. */
  parity: { input: { provider: WebProvider }; result: { readonly cases: number } };
}
export type TaskName = keyof Tasks;

/** A message to the worker: one task. */
export type Request = { [Name in TaskName]: { readonly task: Name } & Tasks[Name]['input'] }[TaskName];

/** A message from the worker: progress, or the end of a task. */
export type Message =
  | { readonly type: 'progress'; readonly text: string; readonly done?: number; readonly total?: number }
  | { readonly type: 'case'; readonly parity: ParityCase }
  | { readonly type: 'result'; readonly result: Tasks[TaskName]['result'] }
  | { readonly type: 'error'; readonly code: string; readonly message: string };

/** `fixtures.json`, which the build writes: the demo and the fixtures that the page has. */
export interface Manifest {
  readonly demo: { readonly graph: string; readonly options: Readonly<Record<string, number | boolean>> };
  /** Paths within `fixtures/`. */
  readonly fixtures: readonly string[];
  /** How many fixtures of the repository the page lacks, and why. */
  readonly leftOut: { readonly count: number; readonly reason: string };
}
