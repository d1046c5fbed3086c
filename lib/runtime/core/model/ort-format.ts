/**
 * Models in ONNX Runtime's own format (.ort), which its converter writes for small builds of it. The format is
 * ONNX Runtime's graph after its optimizers, so nothing is rewritten: such a model runs as it is, or is refused.
 */
import { SessionError } from '../../../errors.js';
import { CONTRIB_OP, CONTRIB_SKIP_OP, FUSED_OP, type SessionLoweringName } from '../../../lowering/types.js';
import { INLINED } from '../../../rewrite/norms/inlined-group-norm.js';
import { rowOperatorsToReplace } from '../../../rewrite/norms/row-norms.js';
import type { Backend } from '../contract.js';
import { chosenLowering, GROUP_NORM_CHOICES } from './group-norm-policy.js';
import { type PreparedModel, requireContrib, USE_INLINED } from './prepare.js';

/** Returns whether ONNX Runtime takes a model for one in its own format: by these bytes alone, whatever else it may be. */
export const isOrtFormat = (bytes: Uint8Array): boolean => hasBytes(bytes.subarray(4, 8), ascii('ORTM'));

/**
 * Checks that the model has no operator that a session rewrites in an ONNX model. GroupNormalization may stay if the kernel
 * runs it. GroupNorm in arithmetic is found if ONNX Runtime wrote it in the operator's place.
 * @throws SessionError `MODEL_REJECTED`.
 */
export function prepareOrtFormat(
  bytes: Uint8Array,
  where: string,
  groupNorm: SessionLoweringName | undefined,
  backend: Pick<Backend, 'provider' | 'hasGroupNormKernel'>,
): PreparedModel {
  requireContrib(groupNorm, backend.provider);
  const lowering = groupNorm ?? chosenLowering(GROUP_NORM_CHOICES[backend.provider]);
  const hasKernel = lowering === 'op' && backend.hasGroupNormKernel;
  if (groupNorm !== 'op') requireNoRewriting(bytes, where, groupNorm, hasKernel);
  return {
    bytes,
    // ONNX Runtime describes a tensor of any rank like a scalar, and the file is not read for the difference.
    unranked: { has: () => true },
    // The format has no field for the name of a file.
    externalLocations: [],
    // ONNX Runtime optimizes a model before it writes this format, and not when it reads it.
    wrongOptimizers: [],
    bfloat16: new Set(),
    optionalInputs: [],
    hasNormBetweenConvolutions: false,
    groupNorm:
      hasKernel && KERNEL_OPERATORS.some((operator) => hasString(bytes, operator)) ? 'kernel' : undefined,
    needsElements: hasString(bytes, 'InstanceNormalization'),
  };
}

/** The operators that the native kernel runs. */
const KERNEL_OPERATORS = ['GroupNormalization', FUSED_OP];

function requireNoRewriting(
  bytes: Uint8Array,
  where: string,
  groupNorm: SessionLoweringName | undefined,
  hasKernel: boolean,
): void {
  const operators = [
    ...(hasKernel ? [] : KERNEL_OPERATORS),
    ...(groupNorm === 'contrib-group-norm' ? [] : [CONTRIB_OP, CONTRIB_SKIP_OP]),
    ...rowOperatorsToReplace(groupNorm),
  ];
  const found =
    operators.find((operator) => hasString(bytes, operator)) ??
    (hasBytes(bytes, ascii(`${INLINED}GroupNormalization`)) ? 'GroupNormalization' : undefined);
  if (found === undefined) return;
  throw new SessionError(
    'MODEL_REJECTED',
    `${where}: this model has the operator ${found}, which sessions rewrite, because ONNX Runtime has no kernel for it or ` +
      "one that loses digits. They cannot rewrite ONNX Runtime's own format (.ort): give the .onnx file that it was made " +
      `from. To run it as it is, ${USE_INLINED}`,
    { option: 'groupNorm' },
  );
}

/**
 * Returns whether a flatbuffer has a string: its length in four bytes, its text and a zero. The operator of each node is a
 * string, so no operator is missed; a name of a value or node that is the same is taken for the operator.
 */
const hasString = (bytes: Uint8Array, text: string): boolean =>
  hasBytes(bytes, Uint8Array.of(text.length, 0, 0, 0, ...ascii(text), 0));

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

function hasBytes(bytes: Uint8Array, wanted: Uint8Array): boolean {
  const [first] = wanted;
  for (let at = bytes.indexOf(first!); at !== -1; at = bytes.indexOf(first!, at + 1))
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return true;
  return false;
}
