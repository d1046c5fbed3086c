/** Workarounds for faults of ONNX Runtime itself, which all its packages share, each with the condition for removing it. */
import type { Model } from '../../onnx/model.js';
import { isOp } from '../../rewrite/analysis/patterns.js';
import { type AnyTensor, isStringTensor } from '../../tensor.js';

/** Entries of ONNX Runtime's session configuration. */
export type SessionConfig = Readonly<Record<string, string>>;

/** The entry that lists the optimizers that are switched off, separated by semicolons. */
const DISABLED_OPTIMIZERS = 'optimization.disable_specified_optimizers';

/** Returns the configuration, with further optimizers switched off. */
export function withoutOptimizers(config: SessionConfig, names: readonly string[]): SessionConfig {
  if (names.length === 0) return config;
  const already = config[DISABLED_OPTIMIZERS];
  return { ...config, [DISABLED_OPTIMIZERS]: [...(already ? [already] : []), ...names].join(';') };
}

/**
 * Returns the optimizers of ONNX Runtime that would change the results of this model.
 *
 * `Pad_Fusion` adds the sizes of a `Pad` to the attribute `pads` of the Conv or pool that reads it. That is right for the
 * input of a Conv alone: a pool does not pad by zeros (MaxPool: by −∞; AveragePool of onnxruntime-node 1.19 and 1.20:
 * by positions that do not count), and a `Pad` of a Conv's weights becomes a model that cannot be loaded. Identity, Cast
 * and the like between the two may go before. So it is switched off in models that have both `Pad` and a pool anywhere.
 * No issue upstream is known; onnx/optimizer pull request 318 describes the same fault. To reproduce: run
 * Pad (0, by 1) → MaxPool of negative numbers with `graphOptimizationLevel` `disabled` and `basic`.
 * Python's ONNX Runtime 1.32 has mended pools, and not weights. Remove this when both runs of both agree in the
 * onnxruntime-node and onnxruntime-web that this package depends on (a test fails then).
 */
export function wrongOptimizers(model: Model): readonly string[] {
  const has = opTypesOf(model);
  if (!has.has('Pad')) return [];
  return POOLS.some((pool) => has.has(pool)) || padsWeights(model) ? ['Pad_Fusion'] : [];
}

const POOLS = ['MaxPool', 'AveragePool'];

const opTypesOf = (model: Model): ReadonlySet<string> =>
  new Set([...model.nodes.map(({ opType }) => opType), ...model.nestedOpTypes()]);

/** Returns whether a `Pad` makes the weights or the bias of a Conv. */
function padsWeights({ nodes }: Model): boolean {
  const padded = new Set<string>();
  // Each node comes after the nodes that it reads from.
  for (const node of nodes) {
    const [input] = node.inputs;
    const isPassedOver = PASSED_OVER.some((op) => isOp(node, op)) && input !== undefined && padded.has(input);
    const [output] = node.outputs;
    if (output !== undefined && (isOp(node, 'Pad') || isPassedOver)) padded.add(output);
    if (isOp(node, 'Conv') && node.inputs.slice(1).some((name) => padded.has(name))) return true;
  }
  return false;
}

/** Operators that `Pad_Fusion` looks through, or that go before it runs. */
const PASSED_OVER = ['Cast', 'Identity'];

/**
 * Says which text of a tensor ONNX Runtime would get cut off; `undefined` if it gets all of them whole.
 *
 * onnxruntime-node and onnxruntime-web pass texts that end at their first U+0000, and say nothing of the rest. No issue
 * upstream is known. To reproduce: run an Identity of `['a\u0000b']`, which returns `['a']`. Remove this when both return
 * the whole text (a test fails then).
 */
export function cutText(value: AnyTensor): string | undefined {
  const place = isStringTensor(value) ? value.data.findIndex((text) => text.includes('\0')) : -1;
  return place < 0
    ? undefined
    : `text ${place} has the character U+0000, where ONNX Runtime would cut it off`;
}
