import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError, SessionError } from '../../../lib/errors.js';
import { convertModel } from '../../../lib/rewrite/convert.js';
import type { Provider } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import { message, model, text, valueInfo } from '../../onnx/bytes.js';

const MODEL = model(
  message(1, text(1, 'x'), text(2, 'y'), text(4, 'Relu')),
  valueInfo(11, 'x', 1, 2),
  valueInfo(12, 'y', 1, 2),
);

/** Returns a copy of the model in a buffer that can be resized. */
function resizable(): { readonly bytes: Uint8Array; readonly resize: (length: number) => void } {
  const Resizable = ArrayBuffer as new (length: number, options: { maxByteLength: number }) => ArrayBuffer;
  const buffer = new Resizable(MODEL.length, { maxByteLength: 2 * MODEL.length });
  const bytes = new Uint8Array(buffer);
  bytes.set(MODEL);
  const { resize } = buffer as ArrayBuffer & { resize: (length: number) => void };
  return { bytes, resize: (length) => resize.call(buffer, length) };
}

describe('the bytes of a model while a session loads', () => {
  for (const provider of ['native', 'cpu', 'wasm'] satisfies Provider[]) {
    it(`createSession on ${provider} refuses bytes that are transferred or resized before they are read`, async () => {
      const transferred = Uint8Array.from(MODEL);
      const loading = createSession(transferred, { providers: [provider] }).catch((error: unknown) => error);
      structuredClone(transferred.buffer, { transfer: [transferred.buffer] });
      const { bytes, resize } = resizable();
      const other = createSession(bytes, { providers: [provider] }).catch((error: unknown) => error);
      resize(10);
      for (const error of [await loading, await other]) {
        expect(error).to.be.instanceOf(SessionError).with.property('code', 'MODEL_REJECTED');
        expect((error as Error).message).to.include('transferred or resized');
      }
    });
  }

  it('convertModel refuses an array that was transferred before', () => {
    const bytes = Uint8Array.from(MODEL);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    expect(() => convertModel(bytes))
      .to.throw(ModelError)
      .with.property('code', 'MODEL_INVALID');
  });
});
