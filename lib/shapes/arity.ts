/**
 * How many inputs and outputs each operator takes that passes read or remove. A pass that reads the second input of a node
 * relies on it, and a pass that replaces a node would hide from the runtime what is wrong with it.
 * Source: `onnx.defs.get_all_schemas_with_history()` of ONNX 1.23; ContribOperators.md of ONNX Runtime 1.30.
 */

/** The numbers of inputs and outputs that an operator may have, from an opset on. */
export interface Arity {
  readonly sinceOpset: number;
  /** The first `minInputs` inputs, and the first `minOutputs` outputs, have a name. */
  readonly minInputs: number;
  readonly maxInputs: number;
  readonly minOutputs: number;
  readonly maxOutputs: number;
}

/**
 * Returns the arity of an operator, or `undefined` if passes do not read the operator.
 * @param opType The name of an operator of ONNX, or of ONNX Runtime's or this project's domain.
 */
export const arityOf = (opType: string, opset: number): Arity | undefined =>
  ARITIES.get(opType)?.findLast(({ sinceOpset }, index) => index === 0 || sinceOpset <= opset);

type Row = readonly [
  sinceOpset: number,
  minInputs: number,
  maxInputs: number,
  minOutputs: number,
  maxOutputs: number,
];

/** The operators, separated by spaces, and their arity: the rows of an operator that has changed are in order. */
const TABLE: readonly (readonly [names: string, ...rows: Row[]])[] = [
  ['Constant', [1, 0, 0, 1, 1]],
  [
    'Abs AveragePool Cast Ceil Celu Cos DepthToSpace Elu Erf Exp Flatten Floor Gelu GlobalAveragePool GlobalMaxPool ' +
      'HardSigmoid HardSwish Identity LRN LeakyRelu Log LogSoftmax LpNormalization LpPool Mish Neg QuickGelu Reciprocal ' +
      'Relu Round Selu Shape Sigmoid Sign Sin Size Softmax Softplus Softsign SpaceToDepth Sqrt Swish Tanh ' +
      'ThresholdedRelu Transpose',
    [1, 1, 1, 1, 1],
  ],
  [
    'Add And Div Equal Expand Gather Greater GreaterOrEqual Less LessOrEqual MatMul Mul Or PRelu Pow RMSNormalization Sub',
    [1, 2, 2, 1, 1],
  ],
  ['Concat Max Mean Min Sum', [1, 1, Infinity, 1, 1]],
  ['BiasAdd GroupNorm GroupNormalization InstanceNormalization Where', [1, 3, 3, 1, 1]],
  ['Conv ConvTranspose DequantizeLinear NhwcConv QuantizeLinear', [1, 2, 3, 1, 1]],
  ['BlockedGroupNormalization FusedGroupNormalization', [1, 3, 4, 1, 1]],
  ['SkipGroupNorm', [1, 4, 5, 1, 2]],
  ['ConvInteger', [1, 2, 4, 1, 1]],
  ['QLinearConv', [1, 8, 9, 1, 1]],
  ['LayerNormalization', [1, 2, 3, 1, 3]],
  ['DynamicQuantizeLinear', [1, 1, 1, 3, 3]],
  ['BatchNormalization', [1, 5, 5, 1, 5], [14, 5, 5, 1, 3]],
  ['Clip', [1, 1, 1, 1, 1], [11, 1, 3, 1, 1]],
  ['Dropout', [1, 1, 1, 1, 2], [12, 1, 3, 1, 2]],
  ['Gemm', [1, 3, 3, 1, 1], [11, 2, 3, 1, 1]],
  ['MaxPool', [1, 1, 1, 1, 1], [8, 1, 1, 1, 2]],
  ['Pad', [1, 1, 1, 1, 1], [11, 2, 3, 1, 1], [18, 2, 4, 1, 1]],
  ['ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd', [1, 1, 1, 1, 1], [18, 1, 2, 1, 1]],
  ['ReduceSum Squeeze', [1, 1, 1, 1, 1], [13, 1, 2, 1, 1]],
  ['Reshape', [1, 1, 1, 1, 1], [5, 2, 2, 1, 1]],
  ['Resize', [10, 2, 2, 1, 1], [11, 3, 4, 1, 1], [13, 1, 4, 1, 1]],
  ['Slice', [1, 1, 1, 1, 1], [10, 3, 5, 1, 1]],
  ['Split', [1, 1, 2, 1, Infinity], [2, 1, 1, 1, Infinity], [13, 1, 2, 1, Infinity]],
  ['Tile', [1, 3, 3, 1, 1], [6, 2, 2, 1, 1]],
  ['Unsqueeze', [1, 1, 1, 1, 1], [13, 2, 2, 1, 1]],
  ['Upsample', [1, 1, 1, 1, 1], [9, 2, 2, 1, 1]],
];

const toArity = ([sinceOpset, minInputs, maxInputs, minOutputs, maxOutputs]: Row): Arity => ({
  sinceOpset,
  minInputs,
  maxInputs,
  minOutputs,
  maxOutputs,
});

const ARITIES: ReadonlyMap<string, readonly Arity[]> = new Map(
  TABLE.flatMap(([names, ...rows]) => names.split(' ').map((name) => [name, rows.map(toArity)] as const)),
);

/** The operators that {@link arityOf} knows. */
export const KNOWN_OPERATORS: readonly string[] = [...ARITIES.keys()];
