import { expect } from 'chai';
import { describe, it } from 'mocha';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { getGraph } from '../../../graphs/registry.js';
import { findDataSetDrift, findFixtureDrift } from '../../../lib/insight/compare/parity-drift.js';
import { LOWERING_NAMES } from '../../../lib/lowering/types.js';
import type { BuildGraph } from '../../../lib/parity/check.js';
import { readFixture } from '../../../lib/parity/node.js';
import { tensor, type TensorData } from '../../../lib/tensor.js';
import { decodeSafetensors } from '../../../lib/weights/safetensors.js';
import { temporaryFolder } from '../../support/temporary.js';
import { TORCH_MODULES, withScaledWeight } from '../../support/torch-modules.js';

const build: BuildGraph = (name, options, input) => getGraph(name).build(options, input);

/** Returns the fixture with one element of one parameter multiplied. */
async function scaledFixture(key: string, factor: number) {
  const fixture = await readFixture(TORCH_MODULES('fixture.safetensors'));
  const { dims, data } = fixture.stateDict.get(key)!;
  const values = Float32Array.from(data as Float32Array);
  values[0]! *= factor;
  return { ...fixture, stateDict: new Map([...fixture.stateDict, [key, tensor('float32', dims, values)]]) };
}

describe('findFixtureDrift', () => {
  for (const lowering of LOWERING_NAMES)
    it(`findFixtureDrift names the layer that has one other weight, in a model with ${lowering}`, async () => {
      for (const layer of ['gn1', 'conv2', 'shortcut.1']) {
        const fixture = await scaledFixture(`${layer}.weight`, 1.05);
        const drift = await findFixtureDrift(fixture, { lowering, opset: 21, provider: 'cpu' }, build);
        expect(drift).to.include({ module: layer, comparedWith: TORCH_MODULES('fixture.safetensors') });
        expect(drift.description).to.match(new RegExp(`^drift begins at ${layer} \\(`));
      }
    });

  it('findFixtureDrift says how to find the layer, where a fixture has no activations and providers agree', async () => {
    const fixture = {
      ...(await scaledFixture('gn1.weight', 1.05)),
      activations: new Map<string, TensorData>(),
    };
    const drift = await findFixtureDrift(fixture, { lowering: 'op', opset: 21, provider: 'cpu' }, build);
    expect(drift.module).to.equal(undefined);
    expect(drift.comparedWith).to.equal('wasm');
    expect(drift.description).to.include("tensors 'activation.<module>' in the fixture");
  });

  it('findFixtureDrift says so, where all activations agree', async () => {
    const fixture = await readFixture(TORCH_MODULES('fixture.safetensors'));
    const drift = await findFixtureDrift(fixture, { lowering: 'op', opset: 21, provider: 'cpu' }, build);
    expect(drift.module).to.equal(undefined);
    expect(drift.description).to.include('agree with PyTorch');
  });
});

describe('findDataSetDrift', () => {
  const at = temporaryFolder();
  const { tensors } = decodeSafetensors(readFileSync(TORCH_MODULES('network.safetensors')));
  const inputs = new Map([['x', tensors.get('input.x')!]]);
  const dataSet = () => ({ file: at('test_data_set_0'), model: at('model.onnx'), inputs });

  it('findDataSetDrift reads the activations in the folder of the data set, or beside the model', async () => {
    const model = readFileSync(TORCH_MODULES('network-dynamo21.onnx'));
    writeFileSync(at('model.onnx'), withScaledWeight(model, 'layers.1.bn1.weight', 1.05));
    mkdirSync(at('test_data_set_0'));
    for (const place of ['activations.safetensors', 'test_data_set_0/activations.safetensors']) {
      copyFileSync(TORCH_MODULES('network.safetensors'), at(place));
      const drift = await findDataSetDrift(dataSet(), { provider: 'cpu' });
      expect(drift).to.include({ module: 'layers.1.bn1', comparedWith: at(place) });
    }
  });

  it('findDataSetDrift says why a file of activations cannot be used', async () => {
    copyFileSync(TORCH_MODULES('network-dynamo21.onnx'), at('model.onnx'));
    writeFileSync(at('activations.safetensors'), '<!doctype html>');
    const { description } = await findDataSetDrift(dataSet(), { provider: 'cpu' });
    expect(description).to.match(/^the first layer that drifts was not found: .*activations\.safetensors/);
  });
});
