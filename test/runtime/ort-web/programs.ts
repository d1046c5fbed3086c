/** The programs of the tests of this folder: each runs in a process of its own. */
import { all, int, message, text } from '../../onnx/bytes.js';
import { createSession, encodeModel, GraphBuilder, op, tensor } from '../../../lib/index.js';

/** Ends WebAssembly with a DFT along an axis of size 0, and prints what three sessions do then. */
export async function divideByZero(): Promise<void> {
  const open = (model: Uint8Array, ...providers: ('wasm' | 'cpu')[]) => createSession(model, { providers });
  const x = (...dims: number[]) => tensor('float32', dims, new Float32Array(dims.reduce((a, b) => a * b)));
  const outcome = (promise: Promise<unknown>) =>
    promise.then(
      () => 'done',
      ({ code, message }: NodeJS.ErrnoException) => `${code}: ${message}`,
    );
  const dft = all(
    int(1, 8),
    message(
      7,
      message(1, text(1, 'x'), text(1, 'length'), text(2, 'y'), text(4, 'DFT')),
      message(5, int(2, 7), text(8, 'length'), message(9, [4, 0, 0, 0, 0, 0, 0, 0])),
      message(11, text(1, 'x'), message(2, message(1, int(1, 1)))),
      message(12, text(1, 'y'), message(2, message(1, int(1, 1)))),
    ),
    message(8, int(2, 17)),
  );
  const g = new GraphBuilder('relu');
  g.output('y', op.relu(g, g.input('x', 'float32', [1])));
  const relu = encodeModel(g.build(), new Map());
  const [one, two] = [await open(dft, 'wasm'), await open(relu, 'wasm')];
  console.log(
    JSON.stringify({
      divide: await outcome(one.run({ x: x(1, 0, 1) })),
      otherRun: await outcome(two.run({ x: x(1) })),
      load: await outcome(open(relu, 'wasm')),
      dispose: await outcome(Promise.all([one.dispose(), two.dispose()])),
      next: (await open(relu, 'wasm', 'cpu')).provider,
    }),
  );
}

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
