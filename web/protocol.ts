/** The messages between the page and its worker. */
import type {
  AdvisedOption,
  LoweringName,
  ModelInspection,
  Provider,
  ProviderFallback,
} from '../lib/browser.js';
import type { LoweringError } from '../lib/insight/inspect/lowering-error.js';
import type { SessionLoweringName } from '../lib/lowering/types.js';
import type { FloatDType } from '../lib/tensor.js';

/** Where the parameters of a network come from: random numbers, the visitor's file, or the demo's trained weights. */
export type WeightsSource =
  | { readonly from: 'seed'; readonly seed: number }
  | { readonly from: 'file'; readonly file: File; readonly prefix: string }
  | { readonly from: 'demo' };

/** Everything that determines a network of the registry. */
export interface NetworkSpec {
  readonly graph: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly dtype: FloatDType;
  readonly opset: number;
  readonly lowering: LoweringName;
  readonly weights: WeightsSource;
}

/** The one model of the page. It holds its weights itself, so that a task needs no other file. */
export interface OpenModel {
  /** The name of its file, `unet.onnx`. */
  readonly name: string;
  readonly file: Blob;
  readonly inspection: ModelInspection;
}

/** Where the tensor of an input comes from. */
export type InputSource =
  | { readonly from: 'random'; readonly seed: number }
  | { readonly from: 'value'; readonly value: number }
  | { readonly from: 'file'; readonly file: File; readonly scaling: 'unit' | 'imagenet' };

export type WebProvider = Extract<Provider, 'wasm' | 'webgpu'>;

/** What a model runs on. */
export interface RunPlan {
  readonly provider: WebProvider;
  /** The source of each input, by its name. Optional inputs may be left out. */
  readonly sources: Readonly<Record<string, InputSource>>;
  /** The sizes of named dimensions. */
  readonly sizes: Readonly<Record<string, number>>;
}

export type Conversion = SessionLoweringName | 'merge' | 'batch-norm';

export interface Converted extends OpenModel {
  /** What was done, in sentences. */
  readonly lines: readonly string[];
  /** What the visitor must know besides. */
  readonly warnings: readonly string[];
}

export interface Picture {
  readonly title: string;
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** One output of a run: figures that show at a glance whether it makes sense. */
export interface OutputResult {
  readonly name: string;
  readonly type: string;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly notFinite: number;
  /** The largest elements of the first sample of (N, K), with their indices. */
  readonly best: readonly (readonly [index: number, value: number])[];
  /** The tensor as a `.npy` file. */
  readonly file: Blob;
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
  /** Whether WebGPU ran on the processor, as browsers do on machines without a GPU. */
  readonly isSoftware: boolean;
  readonly loadMilliseconds: number;
  readonly runMilliseconds: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly OutputResult[];
  readonly pictures: readonly Picture[];
  readonly comparison: Comparison | undefined;
}

/** Milliseconds per call. */
export interface Quartiles {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/** How one lowering did; `problem` says why it could not run. */
export interface LoweringResult {
  readonly name: string;
  readonly milliseconds?: Quartiles;
  /** The largest distance of a GroupNorm from float64; `undefined` if it cannot be had. */
  readonly error?: LoweringError | undefined;
  /** The largest difference of an output of the model from its value with `reduce-mean`. */
  readonly difference?: number | undefined;
  readonly problem?: string;
}

export interface LoweringsResult {
  readonly provider: Provider;
  readonly inputs: readonly string[];
  readonly rounds: number;
  readonly lowerings: readonly LoweringResult[];
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
  build: { input: { spec: NetworkSpec }; result: OpenModel };
  /** Opens a visitor's model, with the files of its weights. */
  open: { input: { file: File; data: readonly File[] }; result: OpenModel };
  run: { input: { model: OpenModel; plan: RunPlan; isDemo: boolean }; result: RunResult };
  /** Runs the model, and measures the input of each normalization. */
  measure: { input: { model: OpenModel; plan: RunPlan }; result: ModelInspection };
  lowerings: { input: { model: OpenModel; plan: RunPlan }; result: LoweringsResult };
  convert: { input: { model: OpenModel; conversion: Conversion; groups: number }; result: Converted };
  /** Sends a message for each case as it finishes. */
  parity: { input: { provider: WebProvider }; result: { readonly cases: number } };
}
export type TaskName = keyof Tasks;

/** A message to the worker: one task. */
export type Request = { [Name in TaskName]: { readonly task: Name } & Tasks[Name]['input'] }[TaskName];

/** An error as a message has it: classes do not cross from a worker to its page. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly option?: AdvisedOption | undefined;
}

/** A message from the worker: progress, or the end of a task. */
export type Message =
  | { readonly type: 'progress'; readonly text: string; readonly done?: number; readonly total?: number }
  | { readonly type: 'case'; readonly parity: ParityCase }
  | { readonly type: 'result'; readonly result: Tasks[TaskName]['result'] }
  | ({ readonly type: 'error' } & Failure);

/** `fixtures.json`, which the build writes: the demo and the fixtures that the page has. */
export interface Manifest {
  readonly demo: { readonly graph: string; readonly options: Readonly<Record<string, unknown>> };
  /** Paths within `fixtures/`. */
  readonly fixtures: readonly string[];
  /** How many fixtures of the repository the page lacks, and why. */
  readonly leftOut: { readonly count: number; readonly reason: string };
}
