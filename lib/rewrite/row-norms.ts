/** Normalizations for which ONNX Runtime has kernels, which sum a row in one float32. */
import { DEFAULT_EPSILON } from '../graph/ops/normalization.js';
import {
  type Fragment,
  type LoweringChoice,
  lowerRowSite,
  lowerSite,
  type RowSiteRef,
  type ValueRef,
} from '../lowering/lower-site.js';
import { kernelLowering } from '../lowering/op.js';
import type { SessionLoweringName } from '../lowering/types.js';
import type { Model } from '../onnx/model.js';
import type { ModelNode } from '../onnx/node.js';
import { elementCount, fromStart, isFloatDType, isStatic } from '../tensor.js';
import { isOp, Uses } from './graph-uses.js';
import { describeSite, hasLowerings, isFilledWith, unless } from './sites.js';
import { ValueTypes } from './value-types.js';

/** The operators that normalise rows, and that ONNX Runtime has kernels for. */
export const ROW_OPERATORS = ['InstanceNormalization', 'LayerNormalization'] as const;
export type RowOperator = (typeof ROW_OPERATORS)[number];

/** Those whose own kernels in ONNX Runtime a lowering does not ask for by its name: `op` asks for both. */
export function notAskedFor(lowering: SessionLoweringName | undefined): RowOperator[] {
  if (lowering === 'op') return [];
  if (lowering === 'instance-norm') return ['LayerNormalization'];
  return lowering === 'layer-norm' ? ['InstanceNormalization'] : [...ROW_OPERATORS];
}

/**
 * The longest row of a LayerNormalization that is left to ONNX Runtime, on x86-64 and means not far from 0. Largest error in units of what `assert_close`
 * allows, 1e-5 + 1.3e-6·|y| (ONNX Runtime 1.30, x86-64). The more of a row is one number the worse: of 4,096 elements
 * of which a ReLU left one in six, the error was 4e-5, and of 1,024 it was within what is allowed.
 *
 * | row          | 1,024 | 4,096 | 8,192 | 16,384 | 65,536 | 262,144 | 2,097,152 |
 * | normal       | 0.03  | 0.06  | 0.07  | 0.1    | 0.2    | 0.4     | 9.5       |
 * | after a ReLU | 0.1   | 0.5   | 1.1   | 2.1    | 8.2    | 22      | 162       |
 *
 * InstanceNormalization is worse in images, whose mean may be far from 0: at mean 1,000 and deviation 0.1 its kernel
 * is off by 1.9e-3 (WebAssembly 7.9e-3) in rows of 1,024 elements, where PyTorch is by 6e-4. None is left to it.
 */
export const MAX_LAYER_NORM_ROW = 1024;

/**
 * Replaces normalizations that the runtime's kernels do not sum well by a lowering at the model's own opset:
 * InstanceNormalization, and LayerNormalization of rows that are long or of unknown length. What cannot be described
 * is left as it is: it runs, if less accurately. So is float64, whose sums are exact enough.
 * @param maxRow The longest row of a LayerNormalization that is left to the runtime.
 * @returns How many were replaced.
 */
export function lowerRowNorms(
  model: Model,
  lowering: LoweringChoice,
  operators: readonly RowOperator[],
  types = new ValueTypes(model),
  maxRow = MAX_LAYER_NORM_ROW,
): number {
  if (!hasLowerings(model)) return 0;
  const taken = model.names();
  const uses = new Uses(model);
  return model.replaceNodes((node): Fragment | undefined => {
    if (isOp(node, 'InstanceNormalization') && operators.includes('InstanceNormalization')) {
      const site = describeSite(types, node, lowering === kernelLowering);
      if (typeof site === 'string' || !isSummedInFloat32(site.x)) return undefined;
      return lowerSite(site, lowering, model.opset, taken);
    }
    const isCandidate = operators.includes('LayerNormalization') || endsTheProcess(node);
    const site =
      isCandidate && isOp(node, 'LayerNormalization') ? layerNormSite(types, uses, node) : undefined;
    if (!site) return undefined;
    const isWrong = isSummedInFloat32(site.x) && isLong(site, maxRow);
    return isWrong || endsTheProcess(node) ? lowerRowSite(site, lowering, model.opset, taken) : undefined;
  });
}

/** ONNX Runtime 1.30 reads a bias that the node leaves out by an empty name, as ONNX lets it. */
const endsTheProcess = ({ inputs }: ModelNode): boolean => inputs[2] === '';

const isSummedInFloat32 = ({ dtype }: ValueRef): boolean => isFloatDType(dtype) && dtype !== 'float64';

function isLong({ x, axis }: RowSiteRef, maxRow: number): boolean {
  const row = x.shape.slice(axis);
  return !isStatic(row) || elementCount(row) > maxRow;
}

/** With no second result that anybody reads: a lowering has none. */
function layerNormSite(types: ValueTypes, uses: Uses, node: ModelNode): RowSiteRef | undefined {
  const [input, gamma] = [types.typeOf(node.inputs[0]), types.typeOf(node.inputs[1])];
  const [dtype, shape] = [input.dtype ?? gamma.dtype, input.shape];
  if (!dtype || !shape) return undefined;
  const x: ValueRef = { name: node.inputs[0]!, dtype, shape };
  const normalized = fromStart(node.number('axis') ?? -1, shape.length);
  const isInRange = normalized >= 0 && normalized < shape.length;
  if (!isInRange || node.outputs.slice(1).some((name) => name !== '' && uses.isRead(name))) return undefined;
  const parameter = (index: number): ValueRef | undefined => {
    const name = node.inputs[index];
    const type = types.typeOf(name);
    return name
      ? { name, dtype: type.dtype ?? dtype, shape: type.shape ?? shape.slice(normalized) }
      : undefined;
  };
  const [scale, bias] = [parameter(1), parameter(2)];
  const fits = (value: ValueRef | undefined) =>
    !value || (value.dtype === dtype && value.shape.length <= shape.length - normalized);
  if (!scale || !fits(scale) || !fits(bias)) return undefined;
  return {
    name: node.name,
    x,
    axis: normalized,
    scale: isExpandedOnes(types, uses, scale.name) ? undefined : unless(types, scale, 1),
    bias: bias && unless(types, bias, 0),
    epsilon: node.number('epsilon') ?? DEFAULT_EPSILON,
    output: node.outputs[0]!,
  };
}

/** What the layer-norm lowering has for a scale. */
function isExpandedOnes(types: ValueTypes, uses: Uses, name: string): boolean {
  const producer = uses.producer(name);
  if (!producer || !isOp(producer, 'Expand') || types.model.isFunctionCall(producer)) return false;
  const ones = types.constant(producer.inputs[0]);
  return ones !== undefined && isFilledWith(ones, 1);
}
