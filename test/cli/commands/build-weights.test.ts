import { expect } from 'chai';
import { describe, it } from 'mocha';
import { loadWeights } from '../../../lib/cli/commands/build-weights.js';
import { getGraph, type GraphDefinition, initializeWeights, writeSafetensors } from '../../../lib/index.js';
import { useTemporaryFolder, writeFixture } from '../support.js';

const definition: GraphDefinition = getGraph('group-norm');
const network = (graphOptions: Record<string, unknown>) => ({
  definition,
  graphOptions,
  graph: definition.build(graphOptions),
});
const FITTING = { numGroups: 2, numChannels: 4 };

describe('cli/build-weights', () => {
  const at = useTemporaryFolder();
  const load = async (graphOptions: Record<string, unknown>, weights?: string) => {
    const warnings: string[] = [];
    const request = { seed: 5, ...(weights !== undefined && { weights }) };
    const loaded = await loadWeights(network(graphOptions), request, (warning) => warnings.push(warning));
    return { loaded, warnings };
  };

  it("without a file gives PyTorch's default initialisation from the seed", async () => {
    const { loaded, warnings } = await load(FITTING);
    expect(loaded).to.deep.equal(initializeWeights(network(FITTING).graph, 5));
    expect(warnings).to.deep.equal([]);
  });

  it('is silent of a fixture whose options are those of the network, given or by default', async () => {
    await writeFixture(at('f.safetensors'));
    expect((await load(FITTING, at('f.safetensors'))).warnings).to.deep.equal([]);
    await writeFixture(at('f.safetensors'), { metadata: { options: '{"numGroups":2,"numChannels":4}' } });
    expect((await load({ ...FITTING, eps: 1e-5 }, at('f.safetensors'))).warnings).to.deep.equal([]);
  });

  it('names each option that is another', async () => {
    await writeFixture(at('f.safetensors'));
    const { warnings } = await load({ numGroups: 1, numChannels: 4, eps: 0.5 }, at('f.safetensors'));
    expect(warnings).to.deep.equal([
      `${at('f.safetensors')} was made for another network: its numGroups is 2, not 1; its eps is 0.00001, not 0.5`,
    ]);
  });

  it('knows nothing of the options of a plain state_dict', async () => {
    const tensors = initializeWeights(network(FITTING).graph);
    const metadata = { graph: 'unet', options: '{"numGroups":7}' };
    await writeSafetensors(at('w.safetensors'), { metadata, tensors });
    expect((await load(FITTING, at('w.safetensors'))).warnings).to.deep.equal([]);
  });
});
