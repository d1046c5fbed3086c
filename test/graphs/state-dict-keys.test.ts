import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getGraph, GRAPHS } from '../../graphs/registry.js';
import { elementCount } from '../../lib/tensor.js';
import { FIXTURES } from '../support/fixtures.js';
import { shapesOf } from './support.js';

/** What `scripts/samples/make_state_dict_keys.py` wrote. */
interface Case {
  readonly graph: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly stateDict: Readonly<Record<string, readonly number[]>>;
}

const CASES = JSON.parse(readFileSync(join(FIXTURES, 'state-dict-keys.json'), 'utf8')) as Case[];

/** Graphs that declare parameters as the network computes, and whose modules make them in another order. */
const OTHER_ORDER = ['autoencoder-kl', 'resnetv2-bit', 'unet-2d', 'unet-2d-condition'];

describe('the state_dict keys of graphs', () => {
  for (const { graph, options, stateDict } of CASES) {
    const order = OTHER_ORDER.includes(graph) ? 'keys and shapes' : 'keys, shapes and order';
    it(`${graph} ${JSON.stringify(options)} has the state_dict ${order} of its PyTorch module`, () => {
      const shapes = shapesOf(getGraph(graph).build(options).parameters);
      expect(shapes).to.deep.equal(stateDict);
      if (!OTHER_ORDER.includes(graph)) expect(Object.keys(shapes)).to.deep.equal(Object.keys(stateDict));
    });
  }

  it('the test of state_dict keys covers every graph of the registry with parameters', () => {
    const checked = new Set(CASES.map(({ graph }) => graph));
    const missing = [...GRAPHS.keys()].filter((name) => !checked.has(name));
    expect(missing).to.deep.equal(['norm-comparison']);
    expect(getGraph('norm-comparison').build({}).parameters).to.deep.equal([]);
  });

  it('the full-size U-Net has 31 million parameters', () => {
    const { parameters } = getGraph('unet').build({});
    const count = parameters.reduce((sum, { shape }) => sum + elementCount(shape as number[]), 0);
    // Counted by torch: sum(p.numel() for p in UNetGN().parameters()).
    expect(count).to.equal(31_037_698);
  });
});
