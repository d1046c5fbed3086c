/** What `compareModels` returns. docs/schemas/compare.schema.json, which describes it as JSON, is made of these types. */
import type { OutputComparison } from '../../parity/compare.js';
import type { GroupNormExecution, Provider } from '../../runtime/core/contract.js';
import type { DType } from '../../tensor.js';

/** The values of two models, or of one model on two providers, compared in the order of the graph. */
export interface ModelComparison {
  /** The side that the other is compared with. */
  readonly expected: ComparedSide;
  /** The other side. */
  readonly actual: ComparedSide;
  /** Whether no value drifts or differs in its type, and every output of both sides is compared and finite. */
  readonly passed: boolean;
  /** The number of values of each verdict. */
  readonly counts: Readonly<Record<ValueVerdict, number>>;
  /** The first value that drifts or differs in its type; `null` if there is no such value. */
  readonly first: ValueComparison | null;
  /** The compared values, in the order of the graph of the actual side. */
  readonly values: readonly ValueComparison[];
  /** The values that are not compared. Values in the bodies of If, Loop and Scan are not listed: `notes` has them. */
  readonly notCompared: readonly NotCompared[];
  /** What a reader must know besides, in sentences. */
  readonly notes: readonly string[];
  /** Where the worst values differ, the worst first; empty unless `heatMaps` is set, and in JSON of the command line. */
  readonly heatMaps: readonly HeatMap[];
}

/** One side of a comparison. */
export interface ComparedSide {
  /** What messages call the side: `b.onnx`, `wasm`. */
  readonly label: string;
  /** The provider that ran the model; `undefined` if the side is not a session. */
  readonly provider?: Provider;
  /** How GroupNormalization ran; absent if the model does not have it. */
  readonly groupNorm?: GroupNormExecution;
}

/**
 * The result for one value: `within` the tolerance, every element a finite number; `drifts`, an element is beyond the
 * tolerance, or not finite on one side; `not-finite`, elements are NaN or the same infinity on both sides and the others within
 * the tolerance, so that nothing can be said of them; `type`, the shapes differ, or the dtypes are not two dtypes of floats.
 */
export type ValueVerdict = 'within' | 'drifts' | 'not-finite' | 'type';

/** A value that both sides have. */
export interface ValueComparison {
  /** The name of the value. */
  readonly name: string;
  /** The operator of the node that makes the value: `Conv`, `com.microsoft.FusedConv`. */
  readonly operator: string;
  /** The name of that node; may be empty. */
  readonly node: string;
  /** The path of the PyTorch module that the node comes from, where the exporter left it. */
  readonly module: string | undefined;
  /**
   * The modules of the other nodes that compute the value from the compared values before it, the nearest first: of an
   * activation that is fused with its norm, the norm.
   */
  readonly merged: readonly string[];
  /** Whether the value is an output of the model. */
  readonly isOutput: boolean;
  /** The result. */
  readonly verdict: ValueVerdict;
  /** The actual dtype. */
  readonly dtype: DType;
  /** The actual sizes. */
  readonly dims: readonly number[];
  /** The expected dtype. Two dtypes of floats are compared in float64, with the larger of their tolerances. */
  readonly expectedDtype: DType;
  /** The expected sizes. */
  readonly expectedDims: readonly number[];
  /** The number of elements that are NaN or infinite. */
  readonly notFinite: { readonly expected: number; readonly actual: number };
  /** The differences; `null` if the types differ. */
  readonly difference: OutputComparison | null;
}

/** A value that is not compared, and why. */
export interface NotCompared {
  /** The name of the value. */
  readonly name: string;
  /** The side that lacks the value. */
  readonly side: 'expected' | 'actual';
  /** Why that side does not have it. */
  readonly reason: string;
  /** Whether the value is an output of a model. */
  readonly isOutput: boolean;
}

/** Where a value differs: parts of the tensor as a table. */
export interface HeatMap {
  /** The name of the value. */
  readonly name: string;
  /** Channels down and positions in C order across; of the last two axes of four or more: these axes down and across. */
  readonly maps: readonly HeatMapTable[];
}

/** A table of cells. Each is the largest |actual − expected| of its part of the tensor, as a share of the tolerance. */
export interface HeatMapTable {
  /** What goes down, and its size in the tensor: `channels`, 64. */
  readonly down: { readonly axis: string; readonly size: number };
  /** What goes across. */
  readonly across: { readonly axis: string; readonly size: number };
  /** The rows. A share above 1 is beyond the tolerance; infinite (`null` in JSON) where one side is not finite. */
  readonly cells: readonly (readonly number[])[];
}
