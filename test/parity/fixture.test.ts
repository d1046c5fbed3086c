import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ParityError, WeightsError } from '../../lib/errors.js';
import { readFixture } from '../../lib/parity/node.js';
import { tensor, type TensorData } from '../../lib/tensor.js';
import { writeSafetensors } from '../../lib/weights/safetensors-file.js';
import { parityFixtures } from '../support/fixtures.js';

const ONE = tensor('float32', [1, 2], Float32Array.of(1, 2));
const DOUBLE = tensor('float64', [1, 2], Float64Array.of(1, 2));
const METADATA = {
  graph: 'group-norm',
  options: '{"numGroups":1,"numChannels":2}',
  framework: 'torch 2.13.0',
};
const TENSORS: [string, TensorData][] = [
  ['input.x', ONE],
  ['state_dict.a.weight', ONE],
  ['output.y', ONE],
];

async function read(metadata: Record<string, string>, tensors: [string, TensorData][]) {
  const folder = await mkdtemp(join(tmpdir(), 'fixture-'));
  try {
    const path = join(folder, 'case.safetensors');
    await writeSafetensors(path, { metadata, tensors: new Map(tensors) });
    return await readFixture(path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function refusal(metadata: Record<string, string>, tensors: [string, TensorData][]): Promise<string> {
  try {
    await read(metadata, tensors);
  } catch (error) {
    expect(error).to.be.instanceOf(ParityError).with.property('code', 'FIXTURE_INVALID');
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

describe('readFixture', () => {
  it('readFixture sorts tensors by their prefix and keeps the rest of the name', async () => {
    const fixture = await read(METADATA, [...TENSORS, ['truth.y', DOUBLE], ['activation.a.0', ONE]]);
    expect([...fixture.activations.keys()]).to.deep.equal(['a.0']);
    expect([...fixture.inputs.keys()]).to.deep.equal(['x']);
    expect([...fixture.stateDict.keys()]).to.deep.equal(['a.weight']);
    expect([...fixture.outputs.keys(), ...fixture.truth.keys()]).to.deep.equal(['y', 'y']);
    expect(fixture.options).to.deep.equal({ numGroups: 1, numChannels: 2 });
    expect([fixture.rtol, fixture.atol]).to.deep.equal([undefined, undefined]);
  });

  it('readFixture reads rtol and atol independently', async () => {
    expect(await read({ ...METADATA, atol: '1e-3' }, TENSORS)).to.include({ rtol: undefined, atol: 1e-3 });
    expect(await read({ ...METADATA, rtol: '0' }, TENSORS)).to.include({ rtol: 0, atol: undefined });
  });

  it('readFixture reads every committed fixture', async () => {
    const files = parityFixtures('group-norm');
    expect(files.length).to.be.at.least(40);
    for (const file of files) {
      const fixture = await readFixture(file);
      expect(fixture.graph, file).to.equal('group-norm');
      expect(fixture.truth.size, file).to.equal(fixture.outputs.size);
    }
  });

  const cases: [
    what: string,
    metadata: Record<string, string>,
    tensors: [string, TensorData][],
    word: string,
  ][] = [
    ['without a graph', { options: '{}', framework: 'torch' }, TENSORS, "no 'graph'"],
    ['without options', { graph: 'group-norm', framework: 'torch' }, TENSORS, "no 'options'"],
    ['whose options are not JSON', { ...METADATA, options: '{numGroups: 1}' }, TENSORS, 'not JSON'],
    ['whose options are a list', { ...METADATA, options: '[1]' }, TENSORS, 'must be a JSON object'],
    ['whose tolerance is not a number', { ...METADATA, atol: 'small' }, TENSORS, "'atol' is 'small'"],
    ['whose tolerance is infinite', { ...METADATA, rtol: 'Infinity' }, TENSORS, "'rtol' is 'Infinity'"],
    ['whose tolerance is negative', { ...METADATA, rtol: '-1' }, TENSORS, "'rtol' is '-1'"],
    [
      'whose weights are of an unknown kind',
      { ...METADATA, weights: 'magic' },
      TENSORS,
      "'weights' is 'magic'",
    ],
    [
      'whose seed is not an integer',
      { ...METADATA, weights: 'counter', seed: '1.5' },
      TENSORS,
      "'seed' is '1.5'",
    ],
    ['without inputs', METADATA, TENSORS.slice(1), 'input.<name>'],
    [
      'with a tensor of an unknown prefix',
      METADATA,
      [...TENSORS, ['trut.y', DOUBLE]],
      "tensor 'trut.y' must begin with one of input., state_dict., output., truth., activation.: did you mean 'truth.y'?",
    ],
    [
      'whose truth is not float64',
      METADATA,
      [...TENSORS, ['truth.y', ONE]],
      "'truth.y' is float32 but must be float64",
    ],
    ['without outputs', METADATA, TENSORS.slice(0, 2), 'output.<name>'],
  ];
  for (const [what, metadata, tensors, word] of cases) {
    it(`readFixture refuses a fixture ${what}`, async () => {
      expect(await refusal(metadata, tensors)).to.include(word);
    });
  }

  it('readFixture refuses a file that is not a safetensors file', async () => {
    let error: unknown;
    try {
      await readFixture(fileURLToPath(new URL('../support/reporter.cjs', import.meta.url)));
    } catch (caught) {
      error = caught;
    }
    expect(error).to.be.instanceOf(WeightsError);
  });
});
