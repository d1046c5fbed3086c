/** Models whose nodes stand in another order: ONNX Runtime sorts them, and some writers count on that. */
import { ModelProto } from '../../lib/onnx/protobuf/proto.js';

/** Returns the model with its nodes in a random order, the same one for the same seed. */
export function withShuffledNodes(model: Uint8Array, seed: number): Uint8Array {
  const pick = seededPick(seed);
  return withNodeOrder(model, (nodes) => {
    for (let i = nodes.length - 1; i > 0; i--) {
      const j = pick(i + 1);
      [nodes[i], nodes[j]] = [nodes[j]!, nodes[i]!];
    }
  });
}

/** Returns the model with its nodes from last to first. */
export const withReversedNodes = (model: Uint8Array): Uint8Array =>
  withNodeOrder(model, (nodes) => void nodes.reverse());

function withNodeOrder(model: Uint8Array, reorder: (nodes: unknown[]) => void): Uint8Array {
  const message = ModelProto.decode(model);
  reorder(message.graph!.node!);
  return ModelProto.encode(message).finish();
}

/** Random integers from 0 to below a limit: a linear congruential generator, whose high bits are random enough for a test. */
function seededPick(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
