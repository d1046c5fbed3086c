import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFile } from 'node:fs/promises';
import { endsBy } from '../lib/disposal.js';
import { createSession, openSafetensors, writeSafetensors } from '../lib/index.js';
import { tensor } from '../lib/tensor.js';
import { rejection, temporaryFolder } from './support/temporary.js';

class Door {
  open = true;
  close(): void {
    this.open = false;
  }
}

describe('using and await using', () => {
  const path = temporaryFolder();

  it('endsBy makes using call the method that it names, which for loops do not see', () => {
    class Own extends Door {
      declare readonly [Symbol.dispose]: () => void;
    }
    endsBy(Own.prototype, Symbol.dispose, 'close');
    const door = new Own();
    {
      using own = door;
      expect(own.open).to.equal(true);
    }
    expect(door.open).to.equal(false);
    const seen: string[] = [];
    for (const key in door) seen.push(key);
    expect(seen).to.deep.equal(['open']);
  });

  it('endsBy does nothing in an engine without the symbol', () => {
    class Own extends Door {}
    endsBy(Own.prototype, undefined, 'close');
    expect(Reflect.ownKeys(Own.prototype)).to.deep.equal(['constructor']);
  });

  it('await using closes a safetensors file', async () => {
    const weights = tensor('float32', [1], Float32Array.of(3));
    await writeSafetensors(path('w.safetensors'), { tensors: [['w', weights]] });
    const file = await openSafetensors(path('w.safetensors'));
    {
      await using own = file;
      expect((await own.read('w')).data[0]).to.equal(3);
    }
    expect(await rejection(file.read('w'))).to.be.instanceOf(Error);
  });

  it('await using disposes of a session', async () => {
    const bytes = await readFile(new URL('samples/local-function.onnx', import.meta.url));
    const session = await createSession(bytes);
    {
      await using own = session;
      expect(own.inputs.length).to.be.above(0);
    }
    expect(await rejection(session.run({}))).to.have.property('code', 'DISPOSED');
  });
});
