/**
 * Normalizations whose kernels in ONNX Runtime sum a row in one float32.
 *
 *     InstanceNormalization
 *     LayerNormalization of rows that are long or of unknown length
 *     LayerNormalization with an empty name for its bias, over which ONNX Runtime 1.30 ends the process
 *
 * match if
 *
 * - the dtype is a float dtype other than float64, whose sums are exact enough (the third matches in any dtype);
 * - dtype, rank and parameters are known: other nodes stay, and run less accurately;
 * - no node reads a second output, which lowerings do not have.
 *
 * Each becomes the nodes of a lowering.
 */
import { DEFAULT_EPSILON } from '../../graph/ops/normalization.js';
import {
  type Fragment,
  type LoweringChoice,
  lowerRowSite,
  lowerSite,
  type RowSiteRef,
  type SiteRef,
  type ValueRef,
} from '../../lowering/lower.js';
import { kernelLowering } from '../../lowering/op.js';
import type { SessionLoweringName } from '../../lowering/types.js';
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { elementCount, fromStart, isFloatDType, isStatic } from '../../tensor.js';
import { isOp, outputOf } from '../analysis/patterns.js';
import { describeSite, isFilledWith, omitNeutral } from './sites.js';
import { ValueTypes } from '../analysis/value-types.js';

/** The operators that normalize rows, and that ONNX Runtime has kernels for. */
const ROW_OPERATORS = ['InstanceNormalization', 'LayerNormalization'] as const;
export type RowOperator = (typeof ROW_OPERATORS)[number];

/** The plan for the operators of `lowerRowNorms` and `isFloat64InstanceNorm`. */
export interface RowPlan {
  readonly lowering: LoweringChoice;
  /** The operators that are replaced. */
  readonly operators: readonly RowOperator[];
  /** The longest row of a LayerNormalization that is left to the runtime. */
  readonly maxRow: number;
}

/**
 * Returns the operators to replace for a lowering that the caller has named. The name asks for ONNX Runtime's own kernel
 * of that operator, `op` for both kernels.
 */
export function rowOperatorsToReplace(lowering: SessionLoweringName | undefined): RowOperator[] {
  if (lowering === 'op') return [];
  if (lowering === 'instance-norm') return ['LayerNormalization'];
  return lowering === 'layer-norm' ? ['InstanceNormalization'] : [...ROW_OPERATORS];
}

/**
 * The longest row of a LayerNormalization that is left to ONNX Runtime, for means not far from 0. The table has the
 * largest error in units of assert_close's tolerance, 1e-5 + 1.3e-6·|y| (ONNX Runtime 1.30, x86-64). The more elements
 * of a row are equal, the larger the error: if a ReLU left one in six, it was 4e-5 in rows of 4,096 elements, and within
 * the tolerance in rows of 1,024.
 *
 * | row          | 1,024 | 4,096 | 8,192 | 16,384 | 65,536 | 262,144 | 2,097,152 |
 * | normal       | 0.03  | 0.06  | 0.07  | 0.1    | 0.2    | 0.4     | 9.5       |
 * | after a ReLU | 0.1   | 0.5   | 1.1   | 2.1    | 8.2    | 22      | 162       |
 *
 * InstanceNormalization is for images, whose mean may be far from 0: at mean 1,000 and deviation 0.1 its kernel is off by
 * 1.9e-3 (WebAssembly 7.9e-3) in rows of 1,024 elements, and PyTorch by 6e-4. No row is left to that kernel.
 */
export const MAX_LAYER_NORM_ROW = 1024;

/**
 * Replaces matching nodes, at the model's own opset.
 * @param operators The operators that are replaced. LayerNormalization that would end the process always is.
 * @param maxRow The longest row of a LayerNormalization that is left to the runtime.
 * @returns How many were replaced: 0 if the model is not modified.
 */
export function lowerRowNorms(
  model: Model,
  lowering: LoweringChoice,
  operators: readonly RowOperator[],
  types = new ValueTypes(model),
  maxRow = MAX_LAYER_NORM_ROW,
): number {
  let taken: Set<string> | undefined;
  return model.replaceNodes((node): Fragment | undefined => {
    const site = matchRowNorm(types, node, { lowering, operators, maxRow });
    if (!site) return undefined;
    taken ??= model.names();
    return 'axis' in site
      ? lowerRowSite(site, lowering, model.opset, taken)
      : lowerSite(site, lowering, model.opset, taken);
  });
}

/** Returns the site of a node that a plan replaces. */
export function matchRowNorm(
  types: ValueTypes,
  node: ModelNode,
  { lowering, operators, maxRow }: RowPlan,
): SiteRef | RowSiteRef | undefined {
  if (!isOp(node, 'InstanceNormalization')) return matchLayerNorm(types, node, operators, maxRow);
  if (!operators.includes('InstanceNormalization')) return undefined;
  const site = describeSite(types, node, lowering === kernelLowering);
  return typeof site === 'string' || !isSummedInFloat32(site.x) ? undefined : site;
}

function matchLayerNorm(
  types: ValueTypes,
  node: ModelNode,
  operators: readonly RowOperator[],
  maxRow: number,
): RowSiteRef | undefined {
  if (!isOp(node, 'LayerNormalization')) return undefined;
  const mustGo = endsTheProcess(node);
  if (!mustGo && !operators.includes('LayerNormalization')) return undefined;
  const site = describeLayerNorm(types, node);
  if (!site) return undefined;
  return mustGo || (isSummedInFloat32(site.x) && isLong(site, maxRow)) ? site : undefined;
}

/** Returns whether the bias has an empty name, as ONNX allows: ONNX Runtime 1.30 reads it all the same. */
const endsTheProcess = ({ inputs }: ModelNode): boolean => inputs[2] === '';

const isSummedInFloat32 = ({ dtype }: ValueRef): boolean => isFloatDType(dtype) && dtype !== 'float64';

function isLong({ x, axis }: RowSiteRef, maxRow: number): boolean {
  const row = x.shape.slice(axis);
  return !isStatic(row) || elementCount(row) > maxRow;
}

/** Returns the site that a LayerNormalization is, or `undefined` if it cannot be lowered. */
function describeLayerNorm(types: ValueTypes, node: ModelNode): RowSiteRef | undefined {
  const [input, gamma] = [types.typeOf(node.inputs[0]), types.typeOf(node.inputs[1])];
  const [dtype, shape] = [input.dtype ?? gamma.dtype, input.shape];
  if (!dtype || !shape) return undefined;
  const x: ValueRef = { name: node.inputs[0]!, dtype, shape };
  const normalized = fromStart(node.number('axis') ?? -1, shape.length);
  const isInRange = normalized >= 0 && normalized < shape.length;
  if (!isInRange || node.outputs.slice(1).some((name) => name !== '' && types.index.isRead(name)))
    return undefined;
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
    scale: isExpandedOnes(types, scale.name) ? undefined : omitNeutral(types, scale, 1),
    bias: bias && omitNeutral(types, bias, 0),
    epsilon: node.number('epsilon') ?? DEFAULT_EPSILON,
    output: outputOf(node),
  };
}

/** Returns whether a value is ones, expanded, as the layer-norm lowering makes its scale. */
function isExpandedOnes(types: ValueTypes, name: string): boolean {
  const producer = types.index.producer(name);
  if (!producer || !isOp(producer, 'Expand') || types.model.isFunctionCall(producer)) return false;
  const ones = types.constant(producer.inputs[0]);
  return ones !== undefined && isFilledWith(ones, 1);
}
