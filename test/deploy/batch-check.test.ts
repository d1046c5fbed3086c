import { expect } from 'chai';
import { describe, it } from 'mocha';
import { findBatchDependence, openSizes } from '../../lib/deploy/batch-check.js';
import { createSession } from '../../lib/index.js';
import type { TensorInfo } from '../../lib/runtime/core/contract.js';
import { withSession } from '../../lib/runtime/session/open.js';
import { tensor } from '../../lib/tensor.js';
import { castNode, declared, intAttribute, node, smallModel } from '../support/small-model.js';

const dependence = (model: Uint8Array) =>
  withSession(createSession(model), (session) => findBatchDependence(session, openSizes(session.inputs)));

const ANY = [declared('y', 'float32', ['N', 4])];
const reshape = (...dims: number[]) => ({
  shape: tensor('int64', [dims.length], BigInt64Array.from(dims, BigInt)),
});

describe('findBatchDependence', () => {
  it('findBatchDependence finds nothing in a model that treats each sample alone', async () => {
    expect(await dependence(smallModel([node('Relu', 'x', 'y')]))).to.equal(undefined);
    const axis = intAttribute('axis', 1);
    expect(await dependence(smallModel([node('Softmax', 'x', 'y', axis)]))).to.equal(undefined);
  });

  it('findBatchDependence finds a sample that the samples beside it change', async () => {
    const axis = intAttribute('axis', 0);
    const found = await dependence(smallModel([node('Softmax', 'x', 'y', axis)]));
    expect(found).to.match(/^output 'y' of a sample changes by up to 0\.\d+ with the samples beside it$/);
  });

  it('findBatchDependence finds an output that does not have one row for each sample', async () => {
    const model = smallModel([node('Reshape', 'x shape', 'y')], {
      weights: reshape(-1, 2),
      output: [declared('y', 'float32', ['M', 2])],
    });
    expect(await dependence(model)).to.equal("output 'y' has 6 rows for a batch of 3, and 2 for one sample");
  });

  it('findBatchDependence says so if no element is finite, because then nothing is compared', async () => {
    const nodes = [node('Abs', 'x', 'a'), node('Neg', 'a', 'b'), node('Log', 'b', 'y')];
    expect(await dependence(smallModel(nodes, { output: ANY }))).to.match(/^no output has a finite element/);
  });

  it('findBatchDependence makes integers, bool and float16 too', async () => {
    const model = smallModel(
      [
        castNode('i', 'a', 'float32'),
        castNode('b', 'c', 'float32'),
        castNode('h', 'd', 'float32'),
        node('Sum', 'a c d', 'y'),
      ],
      {
        input: [
          declared('i', 'int64', ['N', 4]),
          declared('b', 'bool', ['N', 4]),
          declared('h', 'float16', ['N', 4]),
        ],
      },
    );
    expect(await dependence(model)).to.equal(undefined);
  });
});

describe('openSizes', () => {
  it('openSizes names each open dimension behind the first, and takes sizes that are given', () => {
    const inputs: TensorInfo[] = [
      { name: 'x', dtype: 'float32', shape: ['N', 3, 'H', ''] },
      { name: 'z', dtype: 'float32', shape: ['', 'H'] },
    ];
    expect([...openSizes(inputs, new Map([['H', 5]]))]).to.deep.equal([
      ['H', 5],
      ['x.3', 64],
    ]);
  });
});
