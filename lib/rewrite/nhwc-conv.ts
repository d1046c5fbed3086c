/**
 * Convolutions with channels last, as ONNX Runtime's optimizer for transformers writes them for GPUs; no CPU has a kernel:
 *
 *     com.microsoft.NhwcConv (x, weight, bias)
 *
 * x is (N, H, W, C) and the weight (M, kH, kW, C / group): the operator has no other ranks. It becomes Transpose (x), Transpose (weight), Conv, Transpose. A Transpose to channels last that x or the weight comes from,
 * and one back behind it that is its only reader, go as well.
 */
import { int, ints, string } from '../graph/attr.js';
import * as op from '../graph/ops/index.js';
import type { Attributes } from '../graph/types.js';
import { buildFragment, type Fragment, pathOf, type ValueRef } from '../lowering/lower.js';
import { CONTRIB_DOMAIN } from '../lowering/types.js';
import type { ModelNode } from '../onnx/graph/node.js';
import { type Shape, UNKNOWN_DIM } from '../tensor.js';
import { withoutTransposeBefore, transposeBehind } from './norms/contrib-group-norm.js';
import { outputOf, REMOVED } from './analysis/patterns.js';
import type { ValueTypes } from './analysis/value-types.js';

const isNhwcConv = ({ domain, opType }: ModelNode): boolean =>
  domain === CONTRIB_DOMAIN && opType === 'NhwcConv';

/** Replaces every match. Returns how many there are. */
export function lowerNhwcConv(types: ValueTypes): number {
  const { model } = types;
  const found = model.nodes.filter(isNhwcConv);
  if (found.length === 0) return 0;
  const behind = new Map(found.map((node) => [outputOf(node), transposeBehind(model, node)]));
  const removed = new Set([...behind.values()].flatMap((node) => (node ? [outputOf(node)] : [])));
  const taken = model.names();
  model.replaceNodes((node) => {
    if (removed.has(outputOf(node))) return REMOVED;
    return isNhwcConv(node) ? convOf(types, node, behind.get(outputOf(node)), taken) : undefined;
  });
  return found.length;
}

const ANY_IMAGE: Shape = [UNKNOWN_DIM, UNKNOWN_DIM, UNKNOWN_DIM, UNKNOWN_DIM];
const TO_FIRST = { perm: [0, 3, 1, 2] };
const TO_LAST = { perm: [0, 2, 3, 1] };

/** @param behind The Transpose that moves the channels of the result back, if only it reads the result. */
function convOf(
  types: ValueTypes,
  node: ModelNode,
  behind: ModelNode | undefined,
  taken: Set<string>,
): Fragment {
  const ref = (name: string): ValueRef => {
    const { dtype = 'float16', shape } = types.typeOf(name);
    return { name, dtype, shape: shape?.length === 4 ? shape : ANY_IMAGE };
  };
  return buildFragment(node.name, pathOf(node), taken, (g, importValue) => {
    const channelsFirst = (name: string) => {
      const { x, layout } = withoutTransposeBefore(types, ref(name), 'last');
      const value = importValue(x);
      return layout === 'first' ? value : op.transpose(g, value, TO_FIRST);
    };
    const [x, weight] = [channelsFirst(node.inputs[0]!), channelsFirst(node.inputs[1]!)];
    const bias = node.inputs[2] ? importValue({ ...ref(node.inputs[2]), shape: [UNKNOWN_DIM] }) : undefined;
    const shape = [x.shape[0]!, weight.shape[0]!, UNKNOWN_DIM, UNKNOWN_DIM];
    const y = g.node('Conv', [x, weight, bias], attributesOf(node), [{ dtype: x.dtype, shape }])[0]!;
    return behind ? [[outputOf(behind), y]] : [[outputOf(node), op.transpose(g, y, TO_LAST)]];
  });
}

/** Returns the attributes that Conv and NhwcConv share. Conv finds kernel_shape, which is that of (kH, kW), by itself. */
function attributesOf(node: ModelNode): Attributes {
  const lists = ['strides', 'pads', 'dilations'].flatMap((name) => {
    const values = node.numbers(name);
    return values ? [[name, ints(values)] as const] : [];
  });
  const autoPad = node.text('auto_pad');
  return {
    ...Object.fromEntries(lists),
    ...(autoPad !== undefined && { auto_pad: string(autoPad) }),
    group: int(node.number('group') ?? 1),
  };
}
