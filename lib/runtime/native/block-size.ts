/** How many channels a block has in ONNX Runtime's blocked layout: the processor decides, so the runtime is asked. */
import { GraphBuilder } from '../../graph/builder.js';
import { NCHWC_DOMAIN } from '../../lowering/types.js';
import { encodeModel } from '../../onnx/encode.js';
import { Model } from '../../onnx/model.js';
import { nodeOf } from '../../rewrite/blocked/operators.js';
import { outputOf } from '../../rewrite/analysis/patterns.js';
import { type Addon, type AddonResult, type AddonSessionOptions } from './addon.js';

/** The blocks that the native kernel has code for. */
const KNOWN_BLOCKS = [8, 16];

let asked: Promise<number> | undefined;

/**
 * Returns the channels of a block in this process. ONNX Runtime is asked until it has answered once: a question fails with the
 * options of its session, too.
 * @throws Error if ONNX Runtime has no such layout here, or a layout that the native kernel does not know.
 */
export const blockSize = (addon: Addon, options: AddonSessionOptions): Promise<number> =>
  (asked ??= probe(addon, options).catch((error: unknown) => {
    asked = undefined;
    throw error;
  }));

/** The channels of the probe, which fill no number of blocks, and its other elements. */
const CHANNELS = 36;
const WIDTH = 3;

/** Reorders the numbers from 1 on, and finds the layout that they are in. */
async function probe(addon: Addon, options: AddonSessionOptions): Promise<number> {
  const session = await addon.createSession(reorderModel(), options);
  try {
    const data = Float32Array.from({ length: CHANNELS * WIDTH }, (_, index) => index + 1);
    const x = { type: FLOAT, dims: [1, CHANNELS, 1, WIDTH], data };
    const [result] = await session.run(['x'], [x], ['y'], [undefined], 0, true);
    const block = KNOWN_BLOCKS.find((one) => isBlocked(result!, one));
    addon.release(result!.data);
    if (block !== undefined) return block;
    throw new Error("ONNX Runtime's blocked layout on this machine is not one that the native kernel knows");
  } finally {
    session.dispose();
  }
}

/** ONNXTensorElementDataType of ONNX Runtime's C interface. */
const FLOAT = 1;

function isBlocked({ dims, data }: AddonResult, block: number): boolean {
  const blocks = Math.ceil(CHANNELS / block);
  const numbers = new Float32Array(data);
  if (dims.join() !== [1, blocks * block, 1, WIDTH].join()) return false;
  return numbers.every((number, at) => {
    const channel = Math.floor(at / (WIDTH * block)) * block + (at % block);
    const position = Math.floor(at / block) % WIDTH;
    return number === (channel < CHANNELS ? channel * WIDTH + position + 1 : 0);
  });
}

function reorderModel(): Uint8Array {
  const g = new GraphBuilder('reorder');
  const x = g.input('x', 'float32', [1, CHANNELS, 1, WIDTH]);
  g.output('y', g.node('Identity', [x], {}, [{ dtype: 'float32', shape: [1, 'P', 1, WIDTH] }])[0]!);
  const model = Model.decode(encodeModel(g.build(), new Map()));
  model.replaceNodes((node) => ({
    nodes: [nodeOf(node, 'ReorderInput', node.inputs, outputOf(node), {}, NCHWC_DOMAIN)],
    constants: [],
  }));
  model.importDomain(NCHWC_DOMAIN, 1);
  return model.encode();
}
