import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  describeNotFinite,
  fileNames,
  outputPaths,
  summarize,
  writeOutputs,
} from '../../../../lib/cli/commands/run/outputs.js';
import { decodeNpy, tensor } from '../../../../lib/index.js';
import { floats, useTemporaryFolder } from '../../support.js';

describe('the outputs of run', () => {
  const at = useTemporaryFolder();

  it('run prints minimum, maximum and mean of an output', () => {
    expect(summarize(floats([3], [-1, 0, 4]))).to.deep.equal(['-1', '4', '1']);
    expect(summarize(tensor('int64', [2], BigInt64Array.of(1n, 2n)))).to.deep.equal(['1', '2', '1.5']);
  });

  it('run counts the elements that are NaN or infinite', () => {
    expect(describeNotFinite(floats([3], [1, NaN, 2]))).to.equal('1 of 3 elements is NaN');
    expect(describeNotFinite(floats([3], [1, -Infinity, Infinity]))).to.equal('2 of 3 elements are infinite');
    expect(describeNotFinite(floats([2], [NaN, Infinity]))).to.equal('2 of 2 elements are NaN or infinite');
    expect(describeNotFinite(tensor('float16', [1], Uint16Array.of(0x7e00)))).to.equal(
      '1 of 1 element is NaN',
    );
    expect(describeNotFinite(floats([2], [1, 2]))).to.be.undefined;
    expect(describeNotFinite(tensor('int64', [1], BigInt64Array.of(1n)))).to.be.undefined;
  });

  it('run summarises the finite elements only, and prints dashes for an output without finite elements', () => {
    expect(summarize(floats([4], [1, NaN, 3, -Infinity]))).to.deep.equal(['1', '3', '2']);
    expect(summarize(floats([1], [NaN]))).to.deep.equal(['–', '–', '–']);
    expect(summarize(floats([0], []))).to.deep.equal(['–', '–', '–']);
  });

  it('run --output writes every output into a folder that it makes', async () => {
    const outputs = { y: floats([1], [7]), '/conv/out': floats([0, 2], []) };
    const paths = outputPaths([{ name: 'y' }, { name: '/conv/out' }], at('new/out'));
    await writeOutputs(outputs, paths);
    expect([...paths]).to.deep.equal([
      ['y', at('new/out/y.npy')],
      ['/conv/out', at('new/out/_conv_out.npy')],
    ]);
    expect(readdirSync(at('new/out')).sort()).to.deep.equal(['_conv_out.npy', 'y.npy']);
    expect([...decodeNpy(readFileSync(at('new/out/y.npy'))).data]).to.deep.equal([7]);
  });

  it('run without --output writes no files', async () => {
    const paths = outputPaths([{ name: 'y' }], undefined);
    await writeOutputs({ y: floats([1], [7]) }, paths);
    expect(paths.size).to.equal(0);
    expect(readdirSync(at())).to.deep.equal([]);
  });

  it('run --output gives files names that stay in the folder, are not hidden, and differ by more than case', () => {
    const names = [
      '../../etc/passwd',
      '..',
      '.hidden',
      'a/b',
      'a_b',
      'A_B',
      '',
      'x:0',
      'ü',
      '-rf',
      // Windows takes these for devices, whatever follows the dot.
      'aux',
      'Com1.x',
      'auxiliary',
      'é'.repeat(400),
    ];
    const files = [...fileNames(names).values()];
    expect(files.slice(0, 13)).to.deep.equal([
      '_._.._etc_passwd.npy',
      '_..npy',
      '_hidden.npy',
      'a_b.npy',
      'a_b_1.npy',
      'A_B_2.npy',
      '_.npy',
      'x_0.npy',
      '__1.npy',
      '_rf.npy',
      '_aux.npy',
      '_Com1.x.npy',
      'auxiliary.npy',
    ]);
    expect(new Set(files.map((file) => file.toLowerCase())).size).to.equal(names.length);
    expect(Math.max(...files.map((file) => file.length))).to.be.below(255);
  });
});
