import { expect } from 'chai';
import { describe, it } from 'mocha';
import { tritonConfig, type TritonModel, tritonReadme } from '../../lib/deploy/triton.js';
import { info } from '../support/tensor-info.js';

const MODEL: TritonModel = {
  name: 'net',
  inputs: [info('x', ['N', 3, 'H', 'W'])],
  outputs: [info('y', ['N', 10])],
  maxBatchSize: 8,
  maxQueueDelay: 0.5,
  instances: 2,
  device: 'gpu',
  isOptimized: true,
};

describe('tritonConfig', () => {
  it('tritonConfig leaves the batch out of dims, and gives the delay in microseconds', () => {
    expect(tritonConfig(MODEL)).to.equal(`name: "net"
backend: "onnxruntime"
max_batch_size: 8
input [
  {
    name: "x"
    data_type: TYPE_FP32
    dims: [ 3, -1, -1 ]
  }
]
output [
  {
    name: "y"
    data_type: TYPE_FP32
    dims: [ 10 ]
  }
]
dynamic_batching {
  max_queue_delay_microseconds: 500
}
instance_group [
  {
    count: 2
    kind: KIND_GPU
  }
]
`);
  });

  it('tritonConfig of a model without batches has all dims and no dynamic_batching', () => {
    const text = tritonConfig({ ...MODEL, maxBatchSize: 0 });
    expect(text).to.include('max_batch_size: 0');
    expect(text).to.include('dims: [ -1, 3, -1, -1 ]').and.to.include('dims: [ -1, 10 ]');
    expect(text).not.to.include('dynamic_batching');
  });

  it('tritonConfig reshapes tensors without dims, because Triton refuses empty dims', () => {
    const scalars = { ...MODEL, inputs: [info('x', ['N'])], outputs: [info('y', [])] };
    expect(tritonConfig(scalars).match(/dims: \[ 1 \]\n +reshape \{ shape: \[ \] \}/g)).to.have.lengthOf(
      1 + 1,
    );
    expect(tritonConfig({ ...scalars, maxBatchSize: 0 }))
      .to.include('dims: [ -1 ]')
      .and.to.include('dims: [ 1 ]');
  });

  it('tritonConfig escapes names as the text format of protobuf wants it', () => {
    const text = tritonConfig({ ...MODEL, inputs: [info('a"b\\c\nü', ['N', 1])] });
    expect(text).to.include(String.raw`name: "a\"b\\c\012ü"`);
  });

  it('tritonConfig names the file of labels at the output that it is for', () => {
    const outputs = [info('y', ['N', 10]), info('z', ['N', 5])];
    const text = tritonConfig({ ...MODEL, outputs, labels: { file: 'labels.txt', output: 'z' } });
    expect(text).to.match(/name: "z"\n.*\n.*\n +label_filename: "labels.txt"/);
    expect(text.match(/label_filename/g)).to.have.lengthOf(1);
  });

  it('tritonConfig switches optimizations off for a model that they would change', () => {
    expect(tritonConfig({ ...MODEL, isOptimized: false })).to.match(
      /optimization \{\n +graph \{\n +level: 2\n/,
    );
    expect(tritonConfig(MODEL)).not.to.include('optimization');
  });
});

describe('tritonReadme', () => {
  it('tritonReadme sends a sample of the sizes that were checked, in the dtypes of the model', () => {
    const inputs = [info('x', ['N', 3, 'H', '']), info('t', ['N'], 'int64'), info('s', ['N', 1], 'string')];
    const sizes = new Map([
      ['H', 32],
      ['x.3', 48],
    ]);
    const text = tritonReadme({ config: { ...MODEL, inputs }, sizes, notes: ['a note'] });
    expect(text)
      .to.include('InferInput("x", [1,3,32,48], "FP32")')
      .and.to.include('np.zeros([1,3,32,48], np.float32)');
    expect(text).to.include('InferInput("t", [1], "INT64")').and.to.include('np.zeros([1], np.int64)');
    expect(text).to.include('InferInput("s", [1,1], "BYTES")').and.to.include('np.object_');
    // A model that takes no batches may leave its first dimension open, too.
    const config = { ...MODEL, inputs, maxBatchSize: 0 };
    expect(tritonReadme({ config, sizes, notes: [] })).to.include('InferInput("x", [1,3,32,48], "FP32")');
    expect(text).to.include('- a note\n').and.to.include("'localhost:8000/v2/models/net/ready'");
  });
});
