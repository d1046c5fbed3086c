import { expect } from 'chai';
import { describe, it } from 'mocha';
import { toBackendOptions, toNativeOptions } from '../../../lib/runtime/native/ort-options.js';

describe("ONNX Runtime's session options", () => {
  it('are its defaults where nothing is said', () => {
    expect(toNativeOptions({})).to.deep.equal({
      interOpNumThreads: 0,
      executionMode: 0,
      enableMemPattern: true,
      logSeverityLevel: 4,
      optimizedModelPath: '',
      freeDimensions: {},
      config: {},
    });
  });

  it('begin a profile only where it is asked for', () => {
    expect(toBackendOptions({ profileFilePrefix: 'p' }).profileFilePrefix).to.equal(undefined);
    expect(toBackendOptions({ enableProfiling: true }).profileFilePrefix).to.equal('onnxruntime_profile_');
  });

  it('have entries of the configuration under nested names', () => {
    const extra = { session: { a: '1', 'b.c': 2, d: { e: true } }, memory: { f: false } };
    expect(toNativeOptions({ extra }).config).to.deep.equal({
      'session.a': '1',
      'session.b.c': '2',
      'session.d.e': '1',
      'memory.f': '0',
    });
  });
});
