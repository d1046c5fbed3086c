import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { loadWeights, readStateDict } from '../../../../lib/cli/commands/build/weights.js';
import { getGraph, type GraphDefinition, initializeWeights, writeSafetensors } from '../../../../lib/index.js';
import { Model } from '../../../../lib/onnx/model.js';
import { floats, onnx, useTemporaryFolder, writeFixture } from '../../support.js';

const definition: GraphDefinition = getGraph('group-norm');
const network = (graphOptions: Record<string, unknown>) => ({
  definition,
  graphOptions,
  graph: definition.build(graphOptions),
});
const FITTING = { numGroups: 2, numChannels: 4 };

describe('loadWeights', () => {
  const at = useTemporaryFolder();
  const load = async (graphOptions: Record<string, unknown>, weights?: string) => {
    const warnings: string[] = [];
    const request = { seed: 5, ...(weights !== undefined && { weights }) };
    const loaded = await loadWeights(network(graphOptions), request, (warning) => warnings.push(warning));
    return { loaded, warnings };
  };

  it("loadWeights returns PyTorch's default initialisation for the seed if there is no file", async () => {
    const { loaded, warnings } = await load(FITTING);
    expect(loaded).to.deep.equal(initializeWeights(network(FITTING).graph, 5));
    expect(warnings).to.deep.equal([]);
  });

  it('loadWeights does not warn of a fixture with the options of the network, given or by default', async () => {
    await writeFixture(at('f.safetensors'));
    expect((await load(FITTING, at('f.safetensors'))).warnings).to.deep.equal([]);
    await writeFixture(at('f.safetensors'), { metadata: { options: '{"numGroups":2,"numChannels":4}' } });
    expect((await load({ ...FITTING, eps: 1e-5 }, at('f.safetensors'))).warnings).to.deep.equal([]);
  });

  it('loadWeights warns of each option of a fixture that is different', async () => {
    await writeFixture(at('f.safetensors'));
    const { warnings } = await load({ numGroups: 1, numChannels: 4, eps: 0.5 }, at('f.safetensors'));
    expect(warnings).to.deep.equal([
      `${at('f.safetensors')} was made for another network: its numGroups is 2, not 1; its eps is 0.00001, not 0.5`,
    ]);
  });

  it('loadWeights ignores the metadata of a plain state_dict', async () => {
    const tensors = initializeWeights(network(FITTING).graph);
    const metadata = { graph: 'unet', options: '{"numGroups":7}' };
    await writeSafetensors(at('w.safetensors'), { metadata, tensors });
    expect((await load(FITTING, at('w.safetensors'))).warnings).to.deep.equal([]);
  });
});

describe('readStateDict', () => {
  const at = useTemporaryFolder();

  it('readStateDict returns every tensor of a plain file', async () => {
    const one = floats([1], [1]);
    await writeSafetensors(at('w.safetensors'), { tensors: [['input.weight', one], ['weight', one]] }); // prettier-ignore
    const file = await readStateDict(at('w.safetensors'));
    expect([...file.tensors.keys()]).to.deep.equal(['input.weight', 'weight']);
    expect(file.options).to.be.undefined;
  });

  it('readStateDict reads only the tensors under a prefix, or all if no key has the prefix', async () => {
    const one = floats([1], [1]);
    await writeSafetensors(at('w.safetensors'), { tensors: [['norm.weight', one], ['conv.weight', one]] }); // prettier-ignore
    const keys = async (prefix: string) => [
      ...(await readStateDict(at('w.safetensors'), prefix)).tensors.keys(),
    ];
    expect(await keys('norm')).to.deep.equal(['norm.weight']);
    expect(await keys('nothing')).to.deep.equal(['norm.weight', 'conv.weight']);
  });

  it('build --prefix reads a part of a checkpoint whose other tensors are complex or of 4 bits', async () => {
    const checkpoint = fileURLToPath(new URL('../../../samples/checkpoint.safetensors', import.meta.url));
    const build = ['build', 'group-norm', '--num-groups', '1', '--num-channels', '2', '-o', at('gn.onnx')];
    const part = await onnx(...build, '--weights', checkpoint, '--prefix', 'norm');
    expect(part).to.include({ code: 0, stderr: '' });
    const model = Model.decode(readFileSync(at('gn.onnx')));
    expect(model.constant('weight')?.data).to.deep.equal(Float32Array.of(1.5, 2.5));
    const whole = await onnx(...build, '--weights', checkpoint);
    expect(whole.code).to.equal(2);
    expect(whole.stderr).to.include("tensor 'complex' has the unsupported dtype C64");
    expect(whole.stderr).to.include('--prefix PREFIX');
  });

  it('readStateDict returns only the state_dict of a fixture', async () => {
    await writeFixture(at('f.safetensors'));
    const { tensors, graph, options } = await readStateDict(at('f.safetensors'));
    expect([...tensors.keys()]).to.deep.equal(['weight', 'bias']);
    expect([...tensors.get('weight')!.data]).to.deep.equal([1.5, -0.5, 2, 1]);
    expect(graph).to.equal('group-norm');
    expect(options).to.deep.equal({ numGroups: 2, numChannels: 4, eps: 1e-5, affine: true });
  });

  it('readStateDict returns an empty state_dict for a fixture without parameters', async () => {
    await writeFixture(at('f.safetensors'), { affine: false });
    expect((await readStateDict(at('f.safetensors'))).tensors.size).to.equal(0);
  });

  for (const options of ['{', '[1]', 'null', '3', undefined]) {
    it(`readStateDict ignores options that are ${options}`, async () => {
      await writeFixture(at('f.safetensors'), { metadata: { options } });
      expect((await readStateDict(at('f.safetensors'))).options).to.be.undefined;
    });
  }
});
