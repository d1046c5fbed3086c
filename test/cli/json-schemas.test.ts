/** The schemas of docs/schemas. `onnx` of support.ts checks by them what every test of a command prints as JSON. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { makeSchemas } from '../../scripts/docs/json-outputs.js';
import { encodeNpy } from '../../lib/files/npy.js';
import { schemaErrors } from '../support/json-schemas.js';
import { groupNormModel, randomTensor } from '../support/group-norm.js';
import { floats, onnx, useTemporaryFolder } from './support.js';

const FOLDER = new URL('../../docs/schemas/', import.meta.url);

describe('docs/schemas', () => {
  const at = useTemporaryFolder();

  it('the schemas are made of the types in the source code (npm run docs:schemas)', async function () {
    this.timeout(60_000);
    const made = await makeSchemas();
    expect(readdirSync(FOLDER).sort()).to.deep.equal([...made.keys()].sort());
    for (const [name, text] of made) expect(readFileSync(new URL(name, FOLDER), 'utf8')).to.equal(text);
  });

  it('a field that is not in the schema, a missing field and a value of another type are errors', () => {
    const report = { passed: 0, failed: 0, cases: [] };
    expect(schemaErrors('parity', JSON.stringify(report))).to.deep.equal([]);
    expect(schemaErrors('parity', JSON.stringify({ ...report, extra: 1 })).join()).to.include('extra');
    expect(schemaErrors('parity', JSON.stringify({ passed: 0, cases: [] })).join()).to.include('failed');
    expect(schemaErrors('parity', JSON.stringify({ ...report, passed: null })).join()).to.include('/passed');
  });

  it('inspect and compare write numbers that are not finite as the schemas say', async () => {
    const x = randomTensor('float32', [1, 4, 2, 2]);
    writeFileSync(
      at('a.onnx'),
      groupNormModel({ x, numGroups: 2, eps: 1e-5 }, { lowering: 'op', opset: 21 }),
    );
    writeFileSync(
      at('x.npy'),
      encodeNpy(floats([1, 4, 2, 2], [NaN, Infinity, ...Array<number>(14).fill(1)])),
    );
    const input = ['--input', `x=${at('x.npy')}`, '--json', '-'];
    expect((await onnx('inspect', at('a.onnx'), ...input)).code).to.equal(0);
    expect((await onnx('compare', at('a.onnx'), '--group-norm', 'reduce-mean,op', ...input)).code).to.equal(
      1,
    );
  });
});
