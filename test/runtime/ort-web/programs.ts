/** The programs of the tests of this folder: each runs in a process of its own. */
import { createSession, encodeModel, GraphBuilder, op, tensor } from '../../../lib/index.js';

/** Prints the result of a Relu, and leaves the session open. */
export async function relu(): Promise<void> {
  const g = new GraphBuilder('relu');
  g.output('y', op.relu(g, g.input('x', 'float32', [1])));
  const session = await createSession(encodeModel(g.build(), new Map()), {
    providers: ['wasm'],
    intraOpNumThreads: 2,
  });
  const { y } = await session.run({ x: tensor('float32', [1], Float32Array.of(3)) });
  console.log(y!.data[0]);
}

/**
 * Runs two inputs, and the module has room for one of them. Both are the same zeros, whose pages stay untouched unless
 * the second input is copied to address 0: then the process may never end.
 */
export async function fillMemory(): Promise<void> {
  const g = new GraphBuilder('sum');
  g.output('y', op.add(g, g.input('a', 'float32', ['N']), g.input('b', 'float32', ['N'])));
  const session = await createSession(encodeModel(g.build(), new Map()), { providers: ['wasm'] });
  const run = async (data: Float32Array) => {
    const x = tensor('float32', [data.length], data);
    return session.run({ a: x, b: x }).then(
      ({ y }) => [...y!.data],
      ({ code, message }: NodeJS.ErrnoException) => [code, message],
    );
  };
  console.log(
    JSON.stringify([await run(new Float32Array(2 ** 29 - 2 ** 20)), await run(Float32Array.of(1, 2))]),
  );
}
