/**
 * Models in ONNX Runtime's own format (.ort), which its converter writes for small builds of it. The format is
 * ONNX Runtime's graph after its optimizers, so nothing is rewritten: such a model runs as it is, or is refused.
 */
import { SessionError } from '../../errors.js';
import { CONTRIB_OP, CONTRIB_SKIP_OP, FUSED_OP, type SessionLoweringName } from '../../lowering/types.js';
import { INLINED } from '../../rewrite/norms/inlined-group-norm.js';
import { rowOperatorsToReplace } from '../../rewrite/norms/row-norms.js';
import type { Backend } from '../core/contract.js';
import { UnsafeModelError } from '../core/errors.js';
import { requireNoCrashOf } from './crashes.js';
import { chosenLowering, GROUP_NORM_CHOICES } from './group-norm-policy.js';
import { ortNodes } from './ort-graph.js';
import { type PreparedModel, requireContrib, USE_INLINED } from './prepare.js';

/** Returns whether ONNX Runtime takes a model for one in its own format: by these bytes alone, whatever else it may be. */
export const isOrtFormat = (bytes: Uint8Array): boolean =>
  [...MARK].every((char, index) => bytes[4 + index] === char.charCodeAt(0));

const MARK = 'ORTM';

/**
 * Checks that the model has no operator that a session rewrites in an ONNX model, and no node over which ONNX Runtime would end
 * the process. GroupNormalization may stay if the kernel runs it. GroupNorm in arithmetic is found if ONNX Runtime wrote it in
 * the operator's place.
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
  const operators = checkedOperators(bytes, where);
  if (groupNorm !== 'op') requireNoRewriting(operators, where, groupNorm, hasKernel);
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
      hasKernel && KERNEL_OPERATORS.some((operator) => operators.has(operator)) ? 'kernel' : undefined,
    needsElements: operators.has('InstanceNormalization'),
  };
}

/** The operators that the native kernel runs. */
const KERNEL_OPERATORS = ['GroupNormalization', FUSED_OP];

/**
 * Returns the operators of all nodes, without their domains, and {@link INLINED_GROUP_NORM} if ONNX's definition of it is there.
 * @throws SessionError `MODEL_REJECTED` if the file is damaged, or a node would end the process.
 */
function checkedOperators(bytes: Uint8Array, where: string): ReadonlySet<string> {
  const operators = new Set<string>();
  try {
    for (const known of ortNodes(bytes)) {
      const { name, opType, outputs } = known.node;
      operators.add(opType);
      if ([name, ...outputs].some((one) => one.startsWith(INLINED_GROUP_NORM)))
        operators.add(INLINED_GROUP_NORM);
      requireNoCrashOf(where, known);
      if (opType === 'EPContext' && known.node.number('embed_mode') === 0)
        throw new UnsafeModelError(
          `${where}: an EPContext names a file, which is not checked in this format`,
        );
    }
    return operators;
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new SessionError(
      'MODEL_REJECTED',
      `${where}: this file in ONNX Runtime's own format (.ort) is damaged; get it again`,
      { cause },
    );
  }
}

/** How ONNX Runtime names what it writes instead of a GroupNormalization. */
const INLINED_GROUP_NORM = `${INLINED}GroupNormalization`;

function requireNoRewriting(
  operators: ReadonlySet<string>,
  where: string,
  groupNorm: SessionLoweringName | undefined,
  hasKernel: boolean,
): void {
  const rewritten = [
    ...(hasKernel ? [] : KERNEL_OPERATORS),
    ...(groupNorm === 'contrib-group-norm' ? [] : [CONTRIB_OP, CONTRIB_SKIP_OP]),
    ...rowOperatorsToReplace(groupNorm),
    INLINED_GROUP_NORM,
  ];
  const found = rewritten.find((operator) => operators.has(operator))?.replace(INLINED, '');
  if (found === undefined) return;
  throw new SessionError(
    'MODEL_REJECTED',
    `${where}: this model has the operator ${found}, which sessions rewrite, because ONNX Runtime has no kernel for it or ` +
      "one that loses digits. They cannot rewrite ONNX Runtime's own format (.ort): give the .onnx file that it was made " +
      `from. To run it as it is, ${USE_INLINED}`,
    { option: 'groupNorm' },
  );
}
