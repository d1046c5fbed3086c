import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { node, smallModel } from '../../../support/small-model.js';
import { onnx, useTemporaryFolder } from '../../support.js';

describe('export-kserve', () => {
  const at = useTemporaryFolder();
  const kserve = (...flags: string[]) =>
    onnx('export-kserve', at('My Net.onnx'), '-o', at('kserve'), ...flags);
  const URI = ['--storage-uri', 's3://bucket/models'];

  it('export-kserve writes the resources and a Dockerfile, and says what to do with them', async () => {
    writeFileSync(at('My Net.onnx'), smallModel([node('Relu', 'x', 'y')]));
    const { code, stdout, stderr } = await kserve(...URI);
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(readdirSync(at('kserve')).sort()).to.deep.equal([
      'Dockerfile',
      'runtime.yaml',
      'service.yaml',
      'triton.yaml',
    ]);
    expect(readFileSync(at('kserve/service.yaml'), 'utf8'))
      .to.include('name: "my-net"\n')
      .and.to.include('memory: "513Mi"');
    expect(stdout).to.include('kubectl apply -f').and.to.include('docker build -t onnx-groupnorm-server:');
  });

  it('export-kserve refuses names and addresses that Kubernetes or KServe would refuse, and writes nothing', async () => {
    writeFileSync(at('My Net.onnx'), smallModel([node('Relu', 'x', 'y')]));
    for (const [flags, message] of [
      [[], /missing --storage-uri/],
      [['--storage-uri', 'models'], /It must be a URI/],
      [['--storage-uri', 's3://a b'], /It must be a URI/],
      [[...URI, '--name', 'Net'], /lower-case/],
      [[...URI, '--name', 'a'.repeat(57)], /at most 56/],
    ] as const) {
      const { code, stderr } = await kserve(...flags);
      expect([code, existsSync(at('kserve'))], stderr).to.deep.equal([2, false]);
      expect(stderr).to.match(message);
    }
  });
});
