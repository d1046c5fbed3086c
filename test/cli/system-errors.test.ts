/** What the system refuses to read is bad input, whatever its reason: exit code 2 and a line, and nothing is written. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { runProgram } from '../support/program.js';
import { onnx, useTemporaryFolder } from './support.js';
import { modelWithDataIn } from './system-errors-program.js';

/** Makes a path that the system refuses, and returns its name. */
type Obstacle = (at: (name: string) => string) => string;

const OBSTACLES: readonly (readonly [code: string, make: Obstacle])[] = [
  [
    'ELOOP',
    (at) => {
      symlinkSync('loop', at('loop'));
      return 'loop';
    },
  ],
  [
    'ENOTDIR',
    (at) => {
      writeFileSync(at('file'), '');
      return 'file/below';
    },
  ],
  [
    'EISDIR',
    (at) => {
      mkdirSync(at('folder'));
      return 'folder';
    },
  ],
  ['ENAMETOOLONG', () => 'n'.repeat(300)],
];

describe('paths that the system refuses', () => {
  const at = useTemporaryFolder();
  const commands: readonly (readonly [name: string, args: (model: string) => string[]])[] = [
    ['convert', (model) => ['convert', model, '-o', at('out.onnx')]],
    ['run', (model) => ['run', model, '--input', 'x=random']],
    ['inspect', (model) => ['inspect', model, '--json', at('out.json')]],
  ];
  for (const [code, make] of OBSTACLES) {
    for (const [name, args] of commands) {
      it(`${name} refuses a model whose path fails with ${code} as bad input`, async function () {
        if (process.platform === 'win32') this.skip();
        const { code: exit, stderr } = await onnx(...args(at(make(at))));
        expect([exit, stderr.includes('bug')], stderr).to.deep.equal([2, false]);
        expect(['out.onnx', 'out.json'].filter((file) => existsSync(at(file)))).to.deep.equal([]);
      });
    }

    it(`convert and run refuse weights whose path fails with ${code} as bad input, and inspect says so`, async function () {
      if (process.platform === 'win32') this.skip();
      const location = make(at);
      writeFileSync(at('m.onnx'), modelWithDataIn(location));
      for (const [name, args] of commands) {
        const { code: exit, stdout, stderr } = await onnx(...args(at('m.onnx')));
        expect([exit, stderr.includes('bug')], stderr).to.deep.equal([name === 'inspect' ? 0 : 2, false]);
        expect(stdout + stderr).to.include(location.slice(0, 40));
      }
      expect(existsSync(at('out.onnx'))).to.equal(false);
    });
  }

  it('files and folders without permission, and files beyond the limit of open files, are bad input', async function () {
    if (process.platform === 'win32') this.skip();
    const { stdout } = await runProgram(new URL('system-errors-program.ts', import.meta.url), 'refuse', {
      args: [at()],
    });
    const outcomes = JSON.parse(stdout) as { what: string; code: number | string; stderr: string }[];
    expect(outcomes).to.have.length(7);
    for (const { what, code, stderr } of outcomes) {
      expect(code, `${what}: ${stderr}`).to.be.oneOf([2, 'FILE_UNREADABLE']);
      expect(stderr, what).to.not.include('bug');
    }
  });
});
