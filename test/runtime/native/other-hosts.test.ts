import { expect } from 'chai';
import { it } from 'mocha';
import { describeNative } from '../../support/native.js';
import { moduleUrl, outputOf } from '../../support/program.js';

describeNative('the native addon where V8 has no shared pointers to hold memory by', function () {
  this.timeout(60_000);

  for (const host of ['bun', 'electron']) {
    it(`copies inputs and given outputs, as on ${host}`, async () => {
      const said = await outputOf(`
        Object.defineProperty(process, 'versions', { value: { ...process.versions, ${host}: '1.0.0' } });
        const { createSession, tensor } = await import(${moduleUrl('../../lib/index.ts')});
        const { groupNormModel, randomTensor, referenceGroupNorm, maxAbsDifference } =
          await import(${moduleUrl('group-norm.ts')});
        const { loadAddon } = await import(${moduleUrl('../../lib/runtime/native/addon.ts')});
        const norm = { x: randomTensor('float32', [2, 8, 6, 5]), numGroups: 4, eps: 1e-5 };
        const session = await createSession(groupNormModel(norm, { lowering: 'op', opset: 21 }), {
          providers: ['native'],
        });
        const given = tensor('float32', norm.x.dims, new Float32Array(norm.x.data.length));
        const { y } = await session.run({ x: norm.x }, { outputs: { y: given } });
        const wrong = tensor('float32', [1, 8, 12, 5], new Float32Array(480));
        const error = await session.run({ x: norm.x }, { outputs: { y: wrong } }).catch((caught) => caught);
        console.log(JSON.stringify([
          loadAddon().addon.writesToGivenMemory,
          y === given && maxAbsDifference(given, referenceGroupNorm(norm)) < 2e-6,
          error.code,
        ]));
      `);
      expect(JSON.parse(said)).to.deep.equal([false, true, 'OUTPUT_INVALID']);
    });
  }
});
