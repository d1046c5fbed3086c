import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readStateDict } from '../../lib/cli/state-dict-file.js';
import { writeSafetensors } from '../../lib/index.js';
import { floats, useTemporaryFolder, writeFixture } from './support.js';

describe('cli/state-dict-file', () => {
  const at = useTemporaryFolder();

  it('every tensor of a plain file belongs to the state_dict', async () => {
    const one = floats([1], [1]);
    await writeSafetensors(at('w.safetensors'), { tensors: [['input.weight', one], ['weight', one]] }); // prettier-ignore
    expect([...(await readStateDict(at('w.safetensors'))).keys()]).to.deep.equal(['input.weight', 'weight']);
  });

  it('of a fixture only the state_dict is taken', async () => {
    await writeFixture(at('f.safetensors'));
    const stateDict = await readStateDict(at('f.safetensors'));
    expect([...stateDict.keys()]).to.deep.equal(['weight', 'bias']);
    expect([...stateDict.get('weight')!.data]).to.deep.equal([1.5, -0.5, 2, 1]);
  });

  it('the state_dict of a fixture without parameters is empty', async () => {
    await writeFixture(at('f.safetensors'), { affine: false });
    expect((await readStateDict(at('f.safetensors'))).size).to.equal(0);
  });
});
