/** What the graph's tests share: the table of shapes from ONNX and PyTorch, and values to try operators on. */
import { readFileSync } from 'node:fs';
import { createContext, runInContext } from 'node:vm';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphError, type GraphErrorCode } from '../../lib/errors.js';
import { GraphBuilder, type Scope } from '../../lib/graph/builder.js';
import type { Value } from '../../lib/graph/types.js';
import type { Dim, DType, Shape } from '../../lib/tensor.js';

/** One line of test/fixtures/shape-inference.json, which scripts/samples/make_shape_cases.py writes. */
interface ShapeCase {
  readonly op: string;
  readonly dtype: DType;
  readonly inputs: readonly (readonly number[])[];
  /** As the operator's options are called in TypeScript. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

interface KnownCase extends ShapeCase {
  readonly output: { readonly dtype: DType; readonly shape: readonly number[] };
  /** The inputs' shapes with names in place of the dimensions that may be free. */
  readonly symbolic?: readonly Shape[];
}

const TABLE = JSON.parse(
  readFileSync(new URL('../fixtures/shape-inference.json', import.meta.url), 'utf8'),
) as { readonly cases: readonly KnownCase[]; readonly refused: readonly ShapeCase[] };

/** Every operator that the table has cases for. */
export const TABLE_OPERATORS = new Set(TABLE.cases.map((known) => known.op));

/**
 * Tests an operator on every case that the table has of it.
 * @param call Adds the operator to a graph; `options` are the case's attributes.
 */
export function describeTable<Options>(
  op: string,
  call: (g: Scope, inputs: Value[], options: Options) => Value,
): void {
  const run = ({ dtype, attributes }: ShapeCase, shapes: readonly Shape[]) => {
    const g = new GraphBuilder('case');
    const inputs = shapes.map((shape, index) => g.input(`x${index}`, dtype, shape));
    return call(g, inputs, attributes as Options);
  };
  const known = TABLE.cases.filter((item) => item.op === op);
  const refused = TABLE.refused.filter((item) => item.op === op);
  describe(`${op} in the table of expected shapes`, () => {
    it(`${op} has cases in the table`, () => expect(known).to.not.be.empty);
    for (const item of known) {
      it(`${op} makes ${shapes(item.output.shape)} from ${describeCase(item, item.inputs)}`, () => {
        const { dtype, shape } = run(item, item.inputs);
        expect({ dtype, shape }).to.deep.equal(item.output);
      });
      const { symbolic } = item;
      if (!symbolic) continue;
      it(`${op} makes an expression of value ${shapes(item.output.shape)} from ${describeCase(item, symbolic)}`, () => {
        const sizes = bind(symbolic, item.inputs);
        expect(run(item, symbolic).shape.map((dim) => evaluate(dim, sizes))).to.deep.equal(item.output.shape);
      });
    }
    for (const item of refused) {
      it(`${op} refuses ${describeCase(item, item.inputs)}`, () => {
        expect(() => run(item, item.inputs)).to.throw(GraphError);
      });
    }
  });
}

/** The sizes that names stand for. */
function bind(symbolic: readonly Shape[], inputs: readonly (readonly number[])[]): Record<string, number> {
  const pairs = symbolic.flatMap((shape, index) =>
    shape.map((dim, axis) => [dim, inputs[index]![axis]!] as const),
  );
  return Object.fromEntries(pairs.filter(([dim]) => typeof dim === 'string'));
}

const ARITHMETIC = createContext({ floor: Math.floor, min: Math.min, max: Math.max });

/** The size that an expression comes to, by JavaScript's own arithmetic. */
export function evaluate(dim: Dim, sizes: Readonly<Record<string, number>>): number {
  Object.assign(ARITHMETIC, sizes);
  // `+ 0`: an arithmetic −0 is the size 0.
  return (runInContext(String(dim), ARITHMETIC) as number) + 0;
}

const shapes = (...all: readonly Shape[]): string => all.map((shape) => `[${shape.join(', ')}]`).join(' ');

const describeCase = ({ attributes, dtype }: ShapeCase, inputs: readonly Shape[]): string =>
  `${shapes(...inputs)} ${JSON.stringify(attributes)}${dtype === 'float32' ? '' : ` ${dtype}`}`;

/** Requires a GraphError of this code, whose message has all of `parts`. */
export function expectGraphError(
  action: () => unknown,
  code: GraphErrorCode,
  ...parts: readonly string[]
): void {
  try {
    action();
  } catch (error) {
    expect(error).to.be.instanceOf(GraphError);
    const { code: actual, message } = error as GraphError;
    expect(actual, message).to.equal(code);
    for (const part of parts) expect(message).to.include(part);
    return;
  }
  expect.fail(`nothing was thrown; expected a GraphError ${code}`);
}

/** The nodes of a graph with `value` as its output. */
export function nodesOf(g: GraphBuilder, value: Value) {
  g.output('y', value);
  return g.build().nodes;
}
