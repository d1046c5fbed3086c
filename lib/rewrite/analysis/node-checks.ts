/**
 * Checks nodes before passes read them: the number of inputs and outputs, and the types of attributes. ONNX Runtime refuses
 * what breaks ONNX's rules, but does not see the nodes that a pass has replaced, and not every model goes to it.
 */
import { ModelError } from '../../errors.js';
import { CONTRIB_DOMAIN, FUSED_DOMAIN } from '../../lowering/types.js';
import type { Model } from '../../onnx/model.js';
import type { AttributeHeader, ModelNode } from '../../onnx/graph/node.js';
import { ATTRIBUTE_TYPE } from '../../onnx/protobuf/proto.js';
import { type Arity, arityOf } from '../../shapes/arity.js';

/**
 * Checks the nodes of a model's graph whose operators passes know. Calls of functions are left to the runtime, and so are nodes
 * in bodies and functions: passes do not read nodes there that break a rule.
 * @throws ModelError `MODEL_INVALID` for the first node that breaks a rule.
 */
export function requireValidNodes(model: Model, where: string): void {
  for (const node of model.nodes) {
    const problem = model.isFunctionCall(node) ? undefined : problemOf(node, model.opset);
    if (problem === undefined) continue;
    const name = node.name || node.outputs.find(Boolean) || 'without a name';
    throw new ModelError(
      'MODEL_INVALID',
      `${where}: ${node.opType} '${name}' ${problem}; export the model again`,
    );
  }
}

const DOMAINS = ['', CONTRIB_DOMAIN, FUSED_DOMAIN];

/** Returns which rule a node breaks: `has 4 inputs, and …`; `undefined` for operators that passes do not know. */
export function problemOf(node: ModelNode, opset: number): string | undefined {
  const arity = DOMAINS.includes(node.domain) ? arityOf(node.opType, opset) : undefined;
  return arity && (arityProblem(node, arity) ?? attributesProblem(node, opset));
}

function arityProblem({ inputs, outputs }: ModelNode, arity: Arity): string | undefined {
  const { minInputs, maxInputs, minOutputs, maxOutputs } = arity;
  return (
    countProblem('input', inputs, minInputs, maxInputs) ??
    countProblem('output', outputs, minOutputs, maxOutputs)
  );
}

function countProblem(
  kind: 'input' | 'output',
  names: readonly string[],
  min: number,
  max: number,
): string | undefined {
  const { length } = names;
  if (length < min || length > max) {
    const allowed = min === max ? min : max === Infinity ? `${min} or more` : `${min} to ${max}`;
    return `has ${length} ${kind}s, and the operator takes ${allowed}`;
  }
  for (let index = 0; index < min; index++)
    if (names[index] === '') return `has an empty name as ${kind} ${index}, which is not optional`;
  return undefined;
}

/**
 * The types of the attributes that passes read. An attribute of one name has the same type in all of their operators. The
 * exceptions are texts and numbers of opsets that ONNX Runtime does not have: see {@link OLD_TYPES}.
 */
const TYPES: ReadonlyMap<string, keyof typeof ATTRIBUTE_TYPE> = new Map<string, keyof typeof ATTRIBUTE_TYPE>([
  ...typed(
    'INT',
    'activation allowzero axis blocksize ceil_mode channels_last end group groups keepdims noop_with_empty_axes num_groups ' +
      'num_outputs output_dtype start stash_type to transA transB value_int',
  ),
  ...typed(
    'INTS',
    'axes dilations ends kernel_shape output_padding output_shape pads perm split starts strides value_ints',
  ),
  ...typed('FLOAT', 'alpha epsilon value_float'),
  ...typed('FLOATS', 'scales value_floats'),
  ...typed('STRING', 'auto_pad keep_aspect_ratio_policy'),
]);

/** Attributes that had another type before an opset. */
const OLD_TYPES: ReadonlyMap<string, number> = new Map([
  ['Cast:to', 6],
  ['BlockedGroupNormalization:activation', Infinity],
  ['FusedGroupNormalization:activation', Infinity],
]);

function typed<Type extends keyof typeof ATTRIBUTE_TYPE>(type: Type, names: string): [string, Type][] {
  return names.split(' ').map((name) => [name, type]);
}

function attributesProblem(node: ModelNode, opset: number): string | undefined {
  const seen = new Set<string>();
  for (const attribute of node.attributes()) {
    const { name } = attribute;
    if (seen.has(name)) return `has the attribute '${name}' twice`;
    seen.add(name);
    const expected = TYPES.get(name);
    const isOld = opset < (OLD_TYPES.get(`${node.opType}:${name}`) ?? 0);
    const problem = expected === undefined || isOld ? undefined : typeProblem(attribute, expected);
    if (problem !== undefined) return `has the attribute '${name}' ${problem}`;
  }
  return undefined;
}

function typeProblem(
  { type, held }: AttributeHeader,
  expected: keyof typeof ATTRIBUTE_TYPE,
): string | undefined {
  const wanted: number = ATTRIBUTE_TYPE[expected];
  if (type !== wanted) return `of type ${ATTRIBUTE_TYPE[type] ?? type}, which must be ${expected}`;
  const other = held.find((one) => one !== wanted);
  return other === undefined
    ? undefined
    : `of type ${expected}, but with a value of type ${ATTRIBUTE_TYPE[other] ?? other}`;
}
