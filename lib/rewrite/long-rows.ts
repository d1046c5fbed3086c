/** Normalizations of long rows, for which ONNX Runtime has kernels that sum a row in one float32. */
import {
  kernelLowering,
  lowerRowSite,
  lowerSite,
  type Fragment,
  type LoweringChoice,
  type RowSiteRef,
  type SessionLoweringName,
  type SiteRef,
  type ValueRef,
} from '../lowering/index.js';
import type { Model, ModelNode } from '../onnx/index.js';
import { elementCount, isFloatDType, isStatic } from '../tensor.js';
import { describeSite, hasLowerings, isFilledWith, unless } from './sites.js';
import { isOp, Uses } from './uses.js';
import { ValueTypes } from './value-types.js';

/** The operators whose rows may be too long for ONNX Runtime's kernels. */
export const ROW_OPERATORS = ['InstanceNormalization', 'LayerNormalization'] as const;
export type RowOperator = (typeof ROW_OPERATORS)[number];

/** Those whose own kernels in ONNX Runtime a lowering does not ask for by its name: `op` asks for both. */
export function notAskedFor(lowering: SessionLoweringName | undefined): RowOperator[] {
  if (lowering === 'op') return [];
  if (lowering === 'instance-norm') return ['LayerNormalization'];
  return lowering === 'layer-norm' ? ['InstanceNormalization'] : [...ROW_OPERATORS];
}

/**
 * The longest row that is left to ONNX Runtime. Largest error in units of what `assert_close` allows, 1e-5 +
 * 1.3e-6·|y|, of both kernels (ONNX Runtime 1.30, x86-64). The more of a row is one number the worse: of 4,096
 * elements of which a ReLU left one in six, the error was 4e-5, and of 1,024 it was within what is allowed.
 *
 * | row          | 1,024 | 4,096 | 8,192 | 16,384 | 65,536 | 262,144 | 2,097,152 |
 * | normal       | 0.03  | 0.06  | 0.07  | 0.1    | 0.2    | 0.4     | 9.5       |
 * | after a ReLU | 0.1   | 0.5   | 1.1   | 2.1    | 8.2    | 22      | 162       |
 */
export const MAX_ROW = 1024;

/**
 * Replaces normalizations whose rows are longer than the runtime sums well, or of unknown length, by a lowering
 * at the model's own opset. What cannot be described is left as it is: it runs, if less accurately.
 * @param maxRow The longest row that is left to the runtime.
 * @returns How many were replaced.
 */
export function lowerLongRows(
  model: Model,
  lowering: LoweringChoice,
  operators: readonly RowOperator[],
  types = new ValueTypes(model),
  maxRow = MAX_ROW,
): number {
  if (!hasLowerings(model)) return 0;
  const taken = model.names();
  const uses = new Uses(model);
  return model.replaceNodes((node): Fragment | undefined => {
    const operator = operators.find((name) => isOp(node, name));
    if (!operator) return undefined;
    if (operator === 'InstanceNormalization') {
      const site = describeSite(types, node, lowering === kernelLowering);
      if (typeof site === 'string' || !hasLongRows(site.x, maxRow)) return undefined;
      return lowerSite(site, lowering, model.opset, taken);
    }
    const site = layerNormSite(types, uses, node);
    return site && hasLongRows(site.x, maxRow) ? lowerRowSite(site, lowering, model.opset, taken) : undefined;
  });
}

/** Whether the groups of a site are rows that the runtime does not sum well. */
export const hasLongGroups = ({ x, numGroups }: SiteRef, maxRow: number): boolean =>
  hasLongRows(
    { ...x, shape: [...x.shape.slice(0, 2), (x.shape[1] as number) / numGroups, ...x.shape.slice(2)] },
    maxRow,
  );

/** float64 sums are exact enough at any length. */
function hasLongRows({ dtype, shape }: ValueRef, maxRow: number): boolean {
  const row = shape.slice(2);
  return (
    row.length > 0 &&
    isFloatDType(dtype) &&
    dtype !== 'float64' &&
    (!isStatic(row) || elementCount(row) > maxRow)
  );
}

/** Over all but the first two dimensions, and with no second result: else its rows are not those of a site. */
function layerNormSite(types: ValueTypes, uses: Uses, node: ModelNode): RowSiteRef | undefined {
  const [input, gamma] = [types.typeOf(node.inputs[0]), types.typeOf(node.inputs[1])];
  const [dtype, shape] = [input.dtype ?? gamma.dtype, input.shape];
  if (!dtype || !shape) return undefined;
  const x: ValueRef = { name: node.inputs[0]!, dtype, shape };
  const axis = node.number('axis') ?? -1;
  const normalized = axis < 0 ? axis + shape.length : axis;
  const isOfRows = normalized === 2 && typeof shape[1] === 'number' && shape[1] > 0;
  if (!isOfRows || node.outputs.slice(1).some((name) => name !== '')) return undefined;
  const parameter = (index: number): ValueRef | undefined => {
    const name = node.inputs[index];
    const type = types.typeOf(name);
    return name ? { name, dtype: type.dtype ?? dtype, shape: type.shape ?? shape.slice(2) } : undefined;
  };
  const [scale, bias] = [parameter(1), parameter(2)];
  const fits = (value: ValueRef | undefined) =>
    !value || (value.dtype === dtype && value.shape.length <= shape.length - 2);
  if (!scale || !fits(scale) || !fits(bias)) return undefined;
  return {
    name: node.name,
    x,
    scale: isExpandedOnes(types, uses, scale.name) ? undefined : unless(types, scale, 1),
    bias: bias && unless(types, bias, 0),
    epsilon: node.number('epsilon') ?? 1e-5,
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
