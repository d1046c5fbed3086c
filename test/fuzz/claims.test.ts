import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FileError, OnnxGroupNormError, WeightsError } from '../../lib/errors.js';
import { decodeNpy } from '../../lib/files/npy.js';
import { openNpz } from '../../lib/files/npz.js';
import { Model } from '../../lib/onnx/model.js';
import { parseModelConfig } from '../../lib/server/models/model-config.js';
import { decodeSafetensors } from '../../lib/weights/safetensors.js';
import { npyFile, safetensorsFile } from './files.js';

const entry = (size: number, start: number, end: number): string =>
  `{"dtype":"U8","shape":[${size}],"data_offsets":[${start},${end}]}`;

/** Small texts and headers that mean harm, each with the code of its error. */
const HARMFUL: readonly (readonly [name: string, code: string, read: () => unknown])[] = [
  ...(
    [
      ['whose tensors overlap', `{"a":${entry(4, 0, 4)},"b":${entry(4, 2, 6)}}`],
      ['with a name twice, once in escapes', `{"a":${entry(4, 0, 4)},"\\u0061":${entry(2, 4, 6)}}`],
      ['with offsets beyond 2^53', `{"a":${entry(6, 0, 2 ** 63)}}`],
      ['with offsets below 0', `{"a":${entry(6, -6, 0)}}`],
      [
        'whose sizes overflow to the right number',
        `{"a":{"dtype":"U8","shape":[3,${2n ** 63n},2],"data_offsets":[0,6]}}`,
      ],
      [
        'with __proto__ in place of its fields',
        '{"a":{"__proto__":{"dtype":"U8","shape":[6]},"data_offsets":[0,6]}}',
      ],
    ] as const
  ).map(([name, header]): [string, string, () => unknown] => [
    `decodeSafetensors refuses a file ${name}`,
    'SAFETENSORS_INVALID',
    () => decodeSafetensors(safetensorsFile(header, 6)),
  ]),
  ...(
    [
      ['messages nested 100,000 deep', 'optimization{'.repeat(1e5)],
      ['a text without an end', `name: "${'a\\"'.repeat(3e5)}`],
      ['a minus and a million spaces', `max_batch_size: -${' '.repeat(1e6)}x`],
      ['a name of a million letters', `${'a'.repeat(1e6)}: 1`],
      ['a hundred thousand unknown fields', Array.from({ length: 1e5 }, (_, i) => `a${i}: 1`).join(' ')],
      ['__proto__', '__proto__ { constructor: 1 }'],
    ] as const
  ).map(([name, config]): [string, string, () => unknown] => [
    `parseModelConfig refuses a config.pbtxt with ${name}`,
    'CONFIG_INVALID',
    () => parseModelConfig(config, 'config.pbtxt'),
  ]),
  [
    'decodeNpy refuses code in place of a dtype',
    'NPY_INVALID',
    () =>
      decodeNpy(npyFile("{'descr': __import__('os').abort(), 'fortran_order': False, 'shape': (1,)}", 1, 4)),
  ],
  [
    'openNpz refuses an archive that says that its directory is at byte 0',
    'NPZ_INVALID',
    () => openNpz(Buffer.concat([Buffer.from('PK\x05\x06'), Buffer.alloc(18, 1)]), 'a.npz'),
  ],
];

describe('files that claim more than they hold', () => {
  for (const [title, code, read] of HARMFUL) {
    it(`${title}, in a second`, () => {
      const start = process.cpuUsage();
      expect(read).to.throw(OnnxGroupNormError).with.property('code', code);
      const { user, system } = process.cpuUsage(start);
      expect((user + system) / 1e6).to.be.below(1);
    });
  }

  it('Model.decode refuses a tensor whose shape claims more than the model holds, before it allocates memory', () => {
    const before = process.memoryUsage().arrayBuffers;
    // TensorProto { dims: [2^40], data_type: FLOAT, name: "w" } in a graph's initializer, with an opset.
    const dims = [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    const initializer = [...dims, 0x10, 0x01, 0x42, 0x01, 0x77];
    const graph = [0x2a, initializer.length, ...initializer];
    const model = Uint8Array.from([0x08, 0x0a, 0x3a, graph.length, ...graph, 0x42, 0x02, 0x10, 0x15]);
    expect(() => Model.decode(model))
      .to.throw(OnnxGroupNormError, "initializer 'w'")
      .with.property('code', 'TENSOR_INVALID');
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(1e6);
  });

  it('decodeNpy refuses a huge claim before it allocates memory', () => {
    const before = process.memoryUsage().arrayBuffers;
    for (const shape of ['(1000000000,)', '(9007199254740991,)', '(4294967296, 4294967296)']) {
      for (const data of [4, 64]) {
        const bytes = npyFile(`{'descr': '<f8', 'fortran_order': True, 'shape': ${shape}}`, 1, data);
        expect(() => decodeNpy(bytes)).to.throw(FileError);
      }
    }
    const header = npyFile('', 2, 0);
    new DataView(header.buffer).setUint32(8, 0xffffffff, true);
    expect(() => decodeNpy(header)).to.throw(FileError, 'claims 4294967295 bytes');
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(1e6);
  });

  it('decodeSafetensors refuses a huge claim before it allocates memory', () => {
    const before = process.memoryUsage().arrayBuffers;
    const headerLength = safetensorsFile('{}', 0);
    new DataView(headerLength.buffer).setBigUint64(0, 2n ** 64n - 1n, true);
    expect(() => decodeSafetensors(headerLength)).to.throw(WeightsError, 'claims 18446744073709551615 bytes');
    for (const dims of ['1000000000', '9007199254740991', '4294967296,4294967296']) {
      const size = String(dims.split(',').reduce((product, dim) => product * Number(dim), 8));
      const entry = `{"a":{"dtype":"F64","shape":[${dims}],"data_offsets":[0,${size}]}}`;
      expect(() => decodeSafetensors(safetensorsFile(entry, 8))).to.throw(WeightsError);
    }
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(1e6);
  });

  it('decodeSafetensors refuses JSON nested 200,000 deep, and a string of as many escapes, without a stack overflow', () => {
    const deep = `{"a":${'['.repeat(2e5)}${']'.repeat(2e5)}}`;
    expect(() => decodeSafetensors(safetensorsFile(deep, 0))).to.throw(WeightsError, "tensor 'a'");
    const objects = `{"a":${'{"a":'.repeat(2e5)}1${'}'.repeat(2e5)}}`;
    expect(() => decodeSafetensors(safetensorsFile(objects, 0))).to.throw(
      WeightsError,
      'lists or objects are nested more than 64 deep',
    );
    const escapes = `{"${'\\n'.repeat(2e5)}":1}`;
    expect(() => decodeSafetensors(safetensorsFile(escapes, 0))).to.throw(WeightsError, 'must be an object');
  });
});
