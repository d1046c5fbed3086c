import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parse } from 'yaml';
import { kserveFiles } from '../../lib/deploy/kserve.js';

const FILES = kserveFiles({
  name: 'net',
  storageUri: 's3://bucket/models?region=a#"b',
  image: 'registry:5000/server:1.0',
  version: '1.2.3',
  memory: 2 ** 30 + 1,
});

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: number };
}

interface Container extends Record<`${'startup' | 'readiness' | 'liveness'}Probe`, Probe> {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly ports: readonly { readonly containerPort: number }[];
  readonly securityContext: { readonly runAsNonRoot: boolean };
}

describe('kserveFiles', () => {
  it('kserveFiles asks for protocol v2, for the runtime, and for memory in whole MiB', () => {
    for (const [file, name, runtime] of [
      ['triton.yaml', 'net-triton', 'kserve-tritonserver'],
      ['service.yaml', 'net', 'onnx-groupnorm'],
    ] as const) {
      const { apiVersion, kind, metadata, spec } = parse(FILES.get(file)!) as {
        apiVersion: string;
        kind: string;
        metadata: { name: string };
        spec: unknown;
      };
      expect([apiVersion, kind, metadata.name]).to.deep.equal([
        'serving.kserve.io/v1beta1',
        'InferenceService',
        name,
      ]);
      expect(spec).to.deep.equal({
        predictor: {
          model: {
            modelFormat: { name: 'onnx' },
            protocolVersion: 'v2',
            runtime,
            storageUri: 's3://bucket/models?region=a#"b',
            resources: { requests: { cpu: '1', memory: '1025Mi' }, limits: { memory: '1025Mi' } },
          },
        },
      });
    }
  });

  it('kserveFiles writes a runtime of one container, with one port, probes on it, and no root', () => {
    const { metadata, spec } = parse(FILES.get('runtime.yaml')!) as {
      metadata: { name: string };
      spec: {
        containers: Container[];
        protocolVersions: string[];
        supportedModelFormats: { name: string }[];
      };
    };
    expect(metadata.name).to.equal('onnx-groupnorm');
    expect([spec.protocolVersions, spec.supportedModelFormats[0]!.name]).to.deep.equal([['v2'], 'onnx']);
    expect(spec.containers).to.have.lengthOf(1);
    const [container] = spec.containers as [Container];
    expect([container.name, container.image]).to.deep.equal(['kserve-container', 'registry:5000/server:1.0']);
    expect(container.ports.map(({ containerPort }) => containerPort)).to.deep.equal([8080]);
    expect(container.args).to.include('--port=8080').and.to.include('--model-name={{.Name}}');
    expect(container.securityContext.runAsNonRoot).to.equal(true);
    const paths = (['startup', 'readiness', 'liveness'] as const).map(
      (probe) => container[`${probe}Probe`].httpGet,
    );
    const ready = { path: '/v2/health/ready', port: 8080 };
    expect(paths).to.deep.equal([ready, ready, { path: '/v2/health/live', port: 8080 }]);
  });

  it('kserveFiles writes a Dockerfile that installs this version and does not run as root', () => {
    const lines = FILES.get('Dockerfile')!.split('\n');
    expect(lines.some((line) => line.includes('npm install --omit=dev onnx-groupnorm@1.2.3'))).to.equal(true);
    expect(lines.indexOf('USER 1000'))
      .to.be.greaterThan(0)
      .and.below(lines.findIndex((line) => line.startsWith('ENTRYPOINT')));
  });
});
