import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readStateDict } from '../../../lib/cli/commands/build-weights.js';
import { writeSafetensors } from '../../../lib/index.js';
import { floats, useTemporaryFolder, writeFixture } from '../support.js';

describe('cli/state-dict-file', () => {
  const at = useTemporaryFolder();

  it('every tensor of a plain file belongs to the state_dict', async () => {
    const one = floats([1], [1]);
    await writeSafetensors(at('w.safetensors'), { tensors: [['input.weight', one], ['weight', one]] }); // prettier-ignore
    const file = await readStateDict(at('w.safetensors'));
    expect([...file.tensors.keys()]).to.deep.equal(['input.weight', 'weight']);
    expect(file.options).to.be.undefined;
  });

  it('of a plain file only what is under a prefix is read, or all if nothing is', async () => {
    const one = floats([1], [1]);
    await writeSafetensors(at('w.safetensors'), { tensors: [['norm.weight', one], ['conv.weight', one]] }); // prettier-ignore
    const keys = async (prefix: string) => [
      ...(await readStateDict(at('w.safetensors'), prefix)).tensors.keys(),
    ];
    expect(await keys('norm')).to.deep.equal(['norm.weight']);
    expect(await keys('nothing')).to.deep.equal(['norm.weight', 'conv.weight']);
  });

  it('of a fixture only the state_dict is taken', async () => {
    await writeFixture(at('f.safetensors'));
    const { tensors, graph, options } = await readStateDict(at('f.safetensors'));
    expect([...tensors.keys()]).to.deep.equal(['weight', 'bias']);
    expect([...tensors.get('weight')!.data]).to.deep.equal([1.5, -0.5, 2, 1]);
    expect(graph).to.equal('group-norm');
    expect(options).to.deep.equal({ numGroups: 2, numChannels: 4, eps: 1e-5, affine: true });
  });

  it('the state_dict of a fixture without parameters is empty', async () => {
    await writeFixture(at('f.safetensors'), { affine: false });
    expect((await readStateDict(at('f.safetensors'))).tensors.size).to.equal(0);
  });

  for (const options of ['{', '[1]', 'null', '3', undefined]) {
    it(`options that are ${options} say nothing of the network`, async () => {
      await writeFixture(at('f.safetensors'), { metadata: { options } });
      expect((await readStateDict(at('f.safetensors'))).options).to.be.undefined;
    });
  }
});
