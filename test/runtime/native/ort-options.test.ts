import { expect } from 'chai';
import { describe, it } from 'mocha';
import { OptionError } from '../../../lib/errors.js';
import { toBackendOptions, toNativeOptions } from '../../../lib/runtime/native/ort-options.js';

describe("ONNX Runtime's session options", () => {
  it("the session options of native-cpu are ONNX Runtime's defaults where the caller names no option", () => {
    expect(toNativeOptions({})).to.deep.equal({
      interOpNumThreads: 0,
      executionMode: 0,
      enableMemPattern: true,
      logSeverityLevel: 4,
      optimizedModelPath: '',
      config: {},
    });
  });

  it('the session options of native-cpu begin a profile only if the caller asks for it', () => {
    expect(toBackendOptions({ profileFilePrefix: 'p' }).profileFilePrefix).to.equal(undefined);
    expect(toBackendOptions({ enableProfiling: true }).profileFilePrefix).to.equal('onnxruntime_profile_');
  });

  it('the session options of native-cpu have entries of the configuration under nested names', () => {
    const extra = { session: { a: '1', 'b.c': 2, d: { e: true } }, memory: { f: false } };
    expect(toNativeOptions({ extra }).config).to.deep.equal({
      'session.a': '1',
      'session.b.c': '2',
      'session.d.e': '1',
      'memory.f': '0',
    });
  });

  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;
  const wrong: Record<string, unknown> = {
    'external data that is not a list': { externalData: 'w.bin' },
    'extra that contains itself': { extra: cyclic },
    'extra that is a text': { extra: 'abc' },
    'extra that is nothing': { extra: null },
    'more threads than a number holds': { intraOpNumThreads: 2 ** 32 + 1 },
    'more threads between nodes than a number holds': { interOpNumThreads: 2 ** 31 },
    'a switch that is a text': { enableCpuMemArena: 'no' },
    'a path that ends within': { optimizedModelFilePath: '/tmp/a\0b' },
  };
  for (const [what, options] of Object.entries(wrong)) {
    it(`the session options of native-cpu are refused for ${what}, by name`, () => {
      expect(() => toNativeOptions(options as never))
        .to.throw(OptionError, `native-cpu: ${Object.keys(options as object)[0]}`)
        .with.property('code', 'INVALID_OPTION');
    });
  }
});
