/** What `inspectModel` returns. docs/schemas/inspect.schema.json, which describes it as JSON, is made of these types. */
import type { SessionLoweringName } from '../../lowering/types.js';
import type { Provider, TensorInfo } from '../../runtime/core/contract.js';
import type { FloatDType, Shape } from '../../tensor.js';

/** What is in a model, and how its normalizations run. */
export interface ModelInspection {
  /** The head of the model. */
  readonly model: ModelSummary;
  /** The provider that ran the model; `undefined` if it was not run. */
  readonly provider?: Provider | undefined;
  /** The normalizations of the graph in the order in which they run, then those of functions and bodies in the order of the file. */
  readonly normalizations: readonly Normalization[];
}

/** The head of a model. */
export interface ModelSummary {
  /** The program that wrote the model, `pytorch`; `''` if the model does not say. */
  readonly producerName: string;
  /** The version of that program; `''` if the model does not say. */
  readonly producerVersion: string;
  /** The version of ONNX's file format. */
  readonly irVersion: number;
  /** The version of each operator set, by its domain. ONNX's own domain is `ai.onnx`. */
  readonly opsets: Readonly<Record<string, number>>;
  /** The tensors that a run takes. The dtype is `undefined` if it is not a dtype of this library or not declared. */
  readonly inputs: readonly TensorInfo[];
  /** The tensors that a run returns. */
  readonly outputs: readonly TensorInfo[];
  /** The number of nodes by operator, `Conv` or `com.microsoft.GroupNorm`, in functions and bodies too. */
  readonly operators: Readonly<Record<string, number>>;
  /** The number of elements of all initializers of the graph. */
  readonly parameters: number;
  /** The bytes of the model's own file. */
  readonly bytes: number;
  /** The files that hold the weights of the model. */
  readonly externalData: readonly ExternalDataFile[];
  /** The names of local functions, with their domains. */
  readonly functions: readonly string[];
  /** The number of nodes with bodies, by operator: `If`, `Loop`, `Scan`. */
  readonly controlFlow: Readonly<Record<string, number>>;
}

/** A file that holds weights of a model. */
export interface ExternalDataFile {
  /** The path, relative to the folder of the model. */
  readonly location: string;
  /** The bytes that the model needs of the file. */
  readonly bytes: number;
  /** Whether a session may read the file; `undefined` for a model that was given as bytes. */
  readonly isThere: boolean | undefined;
  /** What is wrong with the file, if a session may not read it. */
  readonly problem?: string | undefined;
}

/**
 * How a model has a normalization: as an `operator`; GroupNorm as PyTorch exports it below opset 21 (`exported`:
 * InstanceNormalization between two Reshapes); GroupNorm in arithmetic (`written`); arithmetic with the variance as
 * E[x²] − E[x]², which is ONNX's definition in the operator's place (`inlined`); or as `build` and `convert` of this
 * library write it below opset 21 (`lowered`: `reduce-mean`, `instance-norm` or `layer-norm`).
 */
export type NormalizationForm = 'operator' | 'exported' | 'written' | 'inlined' | 'lowered';

/**
 * How a session runs a normalization: `kernel`, the native kernel; the name of the lowering that it rewrites the node to, or
 * that the model has it as;
 * `onnxruntime`, ONNX Runtime's own operator; `refused`, the model does not load.
 */
export type NormalizationExecution = SessionLoweringName | 'kernel' | 'onnxruntime' | 'refused';

/** One normalization of a model. Fields that the model does not tell are `undefined`. */
export interface Normalization {
  /** The name of the node that normalizes, or of its output if the node has no name. */
  readonly name: string;
  /** The path of the PyTorch module, `layer1.0.bn1`, where the exporter left it. */
  readonly module: string | undefined;
  /** The operator, with its domain if it is not ONNX's: `GroupNormalization` for every form but `operator`. */
  readonly operator: string;
  /** How the model has the normalization. */
  readonly form: NormalizationForm;
  /** The shape of the input: (N, C, ...) for GroupNorm, whatever the layout. Of rows (N, G, K) if no more is known. */
  readonly shape: Shape | undefined;
  /** The number of groups of GroupNorm, 1 for each channel in InstanceNormalization. */
  readonly groups: number | undefined;
  /** The number of channels. `undefined` for operators that normalize rows, such as LayerNormalization. */
  readonly channels: number | undefined;
  /** The number that is added to the variance. A float32 is written with the fewest digits that tell it apart. `null` in JSON if it is not finite. */
  readonly epsilon: number | undefined;
  /** Whether a scale or a bias follows, other than constant ones and zeros. */
  readonly affine: boolean | undefined;
  /** The activation that is the only reader of the result, behind a residual or not. */
  readonly activation: 'relu' | 'silu' | 'none' | undefined;
  /** The value that is added before the activation, if there is one. */
  readonly residual: string | undefined;
  /** The dtype of the input. */
  readonly dtype: FloatDType | undefined;
  /** Where the node lies: `graph`, `function a.B`, or `body of If 'name'`. */
  readonly where: string;
  /** How a session runs it on each provider, if the provider works and the caller does not set `groupNorm`. */
  readonly providers: Readonly<Record<Provider, NormalizationExecution>>;
  /** What a run found in its input; `undefined` without a run, and where it takes no mean or the run does not return its input. */
  readonly statistics?: NormalizationStatistics | undefined;
  /** What may go wrong, in sentences. */
  readonly warnings: readonly string[];
}

/**
 * What a run found in the input of a normalization, in all calls of its function and all iterations of its Loop or Scan. A row is what has a mean and a variance of its own: a group of a sample.
 * All numbers are of float64 arithmetic on the input that the run computed.
 */
export interface NormalizationStatistics {
  /** The number of rows. */
  readonly rows: number;
  /** The number of elements of a row; of the longest, where the calls of a function differ. */
  readonly rowLength: number;
  /** The number of rows with NaN or an infinity. The other figures are of the other rows. */
  readonly notFinite: number;
  /** The largest |mean| ÷ √(variance + epsilon) of a row: how many deviations the mean is from 0. */
  readonly meanToDeviation: number;
  /** The row of this figure: the sample and the group, from 0, in its call of a function or iteration of a Loop or Scan. */
  readonly worstRow: readonly number[];
  /** The largest |x|. */
  readonly largest: number;
  /** The largest sum of (x − mean)² of a row. */
  readonly sumOfSquares: number;
  /**
   * How far ONNX Runtime's inlined body of GroupNormalization is off in these rows: the largest difference from float64 of
   * the result before scale and bias, whose deviation is about 1. NaN if the body returns NaN; `null` in JSON.
   */
  readonly inlinedError: number;
  /** The largest |difference| ÷ (1e-5 + 1.3e-6·|expected|): above 1 where `torch.testing.assert_close` fails in float32. `null` in JSON if it is not finite. */
  readonly inlinedToleranceUsed: number;
}
