import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensor } from '../../../lib/tensor.js';
import { rejection } from '../../support/temporary.js';
import { withoutShapes } from '../../support/without-shapes.js';

/** y = relu(x), z = relu(scalar), without the shapes of x and y. */
function anyRank(): Uint8Array {
  const g = new GraphBuilder('ranks');
  g.output('y', op.relu(g, g.input('x', 'float32', [])));
  g.output('z', op.relu(g, g.input('scalar', 'float32', [])));
  return withoutShapes(encodeModel(g.build(), new Map()), ['x', 'y']);
}

const scalar = tensor('float32', [], Float32Array.of(-1));

describe('inputs and outputs of any rank', () => {
  // The native kernel if it was built; onnxruntime-node, which the groupNorm option selects; onnxruntime-web.
  for (const options of [
    { providers: ['cpu'] },
    { providers: ['cpu'], groupNorm: 'op' },
    { providers: ['wasm'] },
  ] as const) {
    it(`a session tells tensors of any rank from scalars, and accepts any rank, with ${JSON.stringify(options)}`, async () => {
      const session = await createSession(anyRank(), options);
      expect([session.inputs, session.outputs]).to.deep.equal([
        [
          { name: 'x', dtype: 'float32', shape: undefined },
          { name: 'scalar', dtype: 'float32', shape: [] },
        ],
        [
          { name: 'y', dtype: 'float32', shape: undefined },
          { name: 'z', dtype: 'float32', shape: [] },
        ],
      ]);
      for (const dims of [[], [2], [1, 2, 1], [0, 3]]) {
        const count = dims.reduce((product, dim) => product * dim, 1);
        const y = tensor('float32', dims, new Float32Array(count).fill(9));
        const x = tensor('float32', dims, new Float32Array(count).fill(-1));
        await session.run({ x, scalar }, { outputs: { y } });
        expect(y.data).to.deep.equal(new Float32Array(count));
      }
      const [x, flat] = [[2, 1], [2]].map((dims) => tensor('float32', dims, new Float32Array(2)));
      const wrong = await rejection(session.run({ x: x!, scalar }, { outputs: { y: flat! } }));
      expect(wrong).to.have.property('code', 'OUTPUT_INVALID');
      const missing = (await rejection(session.run({ scalar: x! }))) as Error;
      expect(missing).to.have.property('code', 'INPUT_MISSING');
      expect(missing.message).to.include("inputs: 'x' float32 of any rank; 'scalar' float32 []");
      expect(missing.message).to.include("'scalar' has shape [2, 1] of rank 2 but must be of rank 0: []");
      await session.dispose();
    });
  }
});
