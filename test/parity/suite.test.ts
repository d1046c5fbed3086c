import { expect } from 'chai';
import { describe, it } from 'mocha';
import { basename } from 'node:path';
import { getGraph } from '../../graphs/registry.js';
import { loweringsAt } from '../../lib/lowering/index.js';
import { checkFixture, describeFailure, readFixture, type CheckSpec } from '../../lib/parity/index.js';
import { fixturePath, parityFixtures } from '../support/fixtures.js';

const OPSETS = [13, 17, 18, 20, 21, 25];

describe('group-norm gives what PyTorch gives', () => {
  for (const file of parityFixtures('group-norm')) {
    for (const opset of OPSETS) {
      for (const lowering of loweringsAt(opset)) {
        it(`${basename(file, '.safetensors')}: ${lowering} at opset ${opset} on cpu`, () =>
          expectParity(file, { lowering, opset, provider: 'cpu' }));
      }
    }
    for (const lowering of loweringsAt(21)) {
      it(`${basename(file, '.safetensors')}: ${lowering} with fixed shapes`, () =>
        expectParity(file, { lowering, opset: 21, provider: 'cpu', staticShapes: true }));
    }
  }
});

/** Where ONNX Runtime's inlined body can be trusted: no large means, no empty batch, a dtype that it has. */
const WELL_CONDITIONED = [
  'float64',
  'initial',
  'net-unet',
  'torch-numeric-1x8x8x8x9',
  'torch-nwc-4x20x20',
  'gamma-negative',
];

describe('the operator in the file means what PyTorch computes, not only what sessions make of it', () => {
  for (const name of WELL_CONDITIONED) {
    for (const opset of [18, 21, 25]) {
      it(`${name}: ONNX Runtime's inlined operator at opset ${opset}`, () =>
        expectParity(fixturePath('group-norm', name), {
          lowering: 'op',
          groupNorm: 'op',
          opset,
          provider: 'cpu',
        }));
    }
  }
});

/** Networks: the lowerings differ in one operator, which `group-norm` tests at every opset. */
const NETWORKS = ['resnet-block', 'double-conv', 'unet', 'detection-backbone', 'norm-comparison'];

describe('networks give what PyTorch gives', () => {
  for (const network of NETWORKS) {
    for (const file of parityFixtures(network)) {
      for (const opset of [17, 21]) {
        for (const lowering of loweringsAt(opset)) {
          it(`${network} ${basename(file, '.safetensors')}: ${lowering} at opset ${opset} on cpu`, () =>
            expectParity(file, { lowering, opset, provider: 'cpu' })).timeout(60_000);
        }
      }
    }
  }
});

async function expectParity(file: string, spec: CheckSpec): Promise<void> {
  const fixture = await readFixture(file);
  const result = await checkFixture(fixture, spec, (name, options, input) =>
    getGraph(name).build(options, input),
  );
  expect(result.passed, describeFailure(result)).to.equal(true);
  expect(result.outputs.map(({ name }) => name)).to.deep.equal([...fixture.outputs.keys()]);
}
