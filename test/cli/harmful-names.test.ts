/** Names in files must not reach a terminal or a log as they are. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { encodeModel, GraphBuilder, op } from '../../lib/index.js';
import { ModelProto } from '../../lib/onnx/protobuf/proto.js';
import { onnx, useTemporaryFolder } from './support.js';

/** It clears a terminal, begins a line, and turns the direction of writing. */
const NAME = 'x\u001b[2J\r\nerror: \u202egnp\u009b31m';
const SHOWN = 'x\\u001b[2J\\u000d\\u000aerror: \\u202egnp\\u009b31m';

/** All that a line feed may stand beside. */
const UNPRINTABLE = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

describe('names in files with control characters', () => {
  const at = useTemporaryFolder();
  const writeModel = (): void => {
    const g = new GraphBuilder('g');
    g.output('y', op.relu(g, g.input('x', 'float32', ['N', 2])));
    const model = ModelProto.decode(encodeModel(g.build(), new Map()));
    const { input, output, node } = model.graph!;
    const relu = node![0]!;
    input![0]!.name = relu.input![0] = NAME;
    output![0]!.name = relu.output![0] = `${NAME}out`;
    for (const { type } of [...input!, ...output!]) type!.tensorType!.shape!.dim![0]!.dimParam = 'N\u001b';
    writeFileSync(at('m.onnx'), ModelProto.encode(model).finish());
  };

  const commands: readonly (readonly [name: string, args: () => string[], code: number])[] = [
    ['run without inputs', () => ['run', at('m.onnx')], 2],
    ['run without the size of a dimension', () => ['run', at('m.onnx'), '--input', `${NAME}=random`], 2],
    [
      'run with a summary and a file for each output',
      () => ['run', at('m.onnx'), '--input', `${NAME}=random`, '--dim', 'N\u001b=3', '--output', at('out')],
      0,
    ],
    ['run with an unknown input', () => ['run', at('m.onnx'), '--input', `${NAME}2=random`], 2],
    ['inspect', () => ['inspect', at('m.onnx')], 0],
    ['a file that does not exist', () => ['convert', at(NAME), '-o', at('out.onnx')], 2],
  ];
  for (const [what, args, expected] of commands) {
    it(`the command line prints names as escapes: ${what}`, async () => {
      writeModel();
      const { code, stdout, stderr } = await onnx(...args());
      expect([code, UNPRINTABLE.exec(stdout + stderr)], stderr).to.deep.equal([expected, null]);
      expect(stdout + stderr).to.include(SHOWN.slice(0, 24));
    });
  }

  it('the reports of parity have names as escapes, in every format', async () => {
    writeFileSync(at(`${NAME}.safetensors`), 'not a fixture');
    const { code, stdout, stderr } = await onnx(
      ...['parity', at(`${NAME}.safetensors`), '--json', at('r.json'), '--junit', at('r.xml')],
    );
    const reports = ['r.json', 'r.xml'].map((name) => readFileSync(at(name), 'utf8'));
    expect(code).to.equal(2);
    for (const text of [stdout, stderr, ...reports]) {
      expect(UNPRINTABLE.exec(text)).to.equal(null);
    }
    expect(JSON.stringify(JSON.parse(reports[0]!))).to.include(JSON.stringify(NAME).slice(1, -1));
  });
});
