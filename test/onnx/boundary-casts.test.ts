import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../lib/errors.js';
import { Model } from '../../lib/onnx/model.js';
import { createSession } from '../../lib/runtime/node.js';
import { tensor, type TensorData } from '../../lib/tensor.js';
import { int, message, model, text, valueInfo } from './bytes.js';

type Field = readonly number[];

const [FLOAT, BOOL] = [1, 9];
const op = (opType: string, inputs: string[], output: string, ...attributes: Field[]) =>
  message(1, ...inputs.map((name) => text(1, name)), text(2, output), text(4, opType), ...attributes);
const branch = (attribute: string, node: Field, output: string) =>
  message(
    5,
    text(1, attribute),
    int(20, 5),
    message(6, text(2, attribute), node, valueInfo(12, output, FLOAT, 2)),
  );

/** h = Relu(x); y = h if c, else x + h: both branches take values from outside. */
const CONTROL_FLOW = model(
  text(2, 'control flow'),
  op('Relu', ['x'], 'h'),
  op(
    'If',
    ['c'],
    'y',
    branch('then_branch', op('Identity', ['h'], 'x_cast'), 'x_cast'),
    branch('else_branch', op('Add', ['x', 'h'], 'e'), 'e'),
  ),
  valueInfo(11, 'x', FLOAT, 2),
  valueInfo(11, 'c', BOOL),
  valueInfo(12, 'h', FLOAT, 2),
  valueInfo(12, 'y', FLOAT, 2),
);

async function run(
  bytes: Uint8Array,
  feeds: Record<string, TensorData>,
): Promise<Record<string, TensorData>> {
  const session = await createSession(bytes);
  try {
    return await session.run(feeds);
  } finally {
    await session.dispose();
  }
}

const values = (result: TensorData | undefined) => [result!.dtype, ...(result!.data as Float64Array)];

describe('castInputs and castOutputs', () => {
  it('rename the cast values in the bodies of control flow', async () => {
    const changed = Model.decode(CONTROL_FLOW);
    changed.castInputs(['x'], 'float64');
    changed.castOutputs(['h'], 'float64');
    const bytes = changed.encode();
    const x = tensor('float64', [2], Float64Array.of(-1, 2));
    for (const [condition, expected] of [
      [1, [0, 2]],
      [0, [-1, 4]],
    ] as const) {
      const { h, y } = await run(bytes, { x, c: tensor('bool', [], Uint8Array.of(condition)) });
      expect(values(h)).to.deep.equal(['float64', 0, 2]);
      expect(values(y)).to.deep.equal(['float32', ...expected]);
    }
  });

  it('castInputs and castOutputs avoid the names in bodies', () => {
    const changed = Model.decode(CONTROL_FLOW);
    changed.castInputs(['x'], 'float64');
    expect([...changed.names()]).to.include.members(['x', 'x_cast', 'x_cast_1', 'e']);
    expect(changed.nodes[0]!.outputs).to.deep.equal(['x_cast_1']);
  });

  it('cast an output that is an initializer and not the result of a node', async () => {
    const weight = message(
      5,
      int(1, 2),
      int(2, FLOAT),
      text(8, 'w'),
      message(9, [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]),
    );
    const changed = Model.decode(
      model(
        text(2, 'g'),
        op('Add', ['x', 'w'], 'y'),
        weight,
        valueInfo(11, 'x', FLOAT, 2),
        valueInfo(12, 'w', FLOAT, 2),
        valueInfo(12, 'y', FLOAT, 2),
      ),
    );
    changed.castOutputs(['w'], 'float64');
    const { w, y } = await run(changed.encode(), { x: tensor('float32', [2], Float32Array.of(1, 1)) });
    expect([values(w), values(y)]).to.deep.equal([
      ['float64', 1, 2],
      ['float32', 2, 3],
    ]);
  });

  it('cast an output that is an input only together with that input', async () => {
    const passing = model(
      text(2, 'g'),
      op('Relu', ['x'], 'y'),
      valueInfo(11, 'x', FLOAT, 2),
      valueInfo(12, 'x', FLOAT, 2),
      valueInfo(12, 'y', FLOAT, 2),
    );
    const changed = Model.decode(passing);
    expect(() => changed.castOutputs(['x'], 'float64'))
      .to.throw(ModelError, "'x' is an input as well")
      .with.property('code', 'MODEL_UNSUPPORTED');
    changed.castInputs(['x'], 'float64');
    changed.castOutputs(['x'], 'float64');
    const { x, y } = await run(changed.encode(), { x: tensor('float64', [2], Float64Array.of(-1, 2)) });
    expect([values(x), values(y)]).to.deep.equal([
      ['float64', -1, 2],
      ['float32', 0, 2],
    ]);
  });

  it('castInputs casts a value twice, and does not cast it to the dtype that it has', () => {
    const changed = Model.decode(CONTROL_FLOW);
    changed.castInputs(['x'], 'float32');
    expect(changed.encode()).to.deep.equal(CONTROL_FLOW);
    changed.castInputs(['x'], 'float16');
    changed.castInputs(['x'], 'float64');
    expect(changed.typeOf('x')!.dtype).to.equal('float64');
    expect(changed.nodes.slice(0, 2).map(({ inputs, outputs }) => [inputs, outputs])).to.deep.equal([
      [['x'], ['x_cast_2']],
      [['x_cast_2'], ['x_cast_1']],
    ]);
  });

  it('castInputs and castOutputs refuse names that are not inputs or outputs', () => {
    const changed = Model.decode(CONTROL_FLOW);
    for (const cast of [
      () => changed.castInputs(['h'], 'float64'),
      () => changed.castOutputs(['x'], 'float64'),
    ]) {
      expect(cast).to.throw(ModelError, 'is not a tensor that the model declares');
    }
  });

  it('cast thousands of inputs in one pass', () => {
    const names = Array.from({ length: 5000 }, (_, i) => `x${i}`);
    const changed = Model.decode(
      model(...names.flatMap((name) => [valueInfo(11, name, FLOAT, 1), op('Relu', [name], `${name}y`)])),
    );
    changed.castInputs(names, 'float64');
    expect(changed.nodes).to.have.lengthOf(10_000);
  }).timeout(5000);
});
