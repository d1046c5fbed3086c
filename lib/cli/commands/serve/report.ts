/** What `serve` prints for people: the address, each model, and a request that works. */
import { printable } from '../../../printable.js';
import type { TensorInfo } from '../../../runtime/core/contract.js';
import type { ServedModel } from '../../../server/index.js';
import { datatypeOf } from '../../../server/protocol/datatypes.js';
import { bytesPerElement, elementCount, formatShape } from '../../../tensor.js';
import { packageInfo } from '../../shared/terminal.js';
import { describeExecution } from '../run/session.js';

/** Returns the lines for a server that has begun to listen. */
export const describeStart = (path: string, url: string): string[] => [
  `onnx-groupnorm ${packageInfo().version} serves ${printable(path)} on ${url}`,
  `  ${url}/v2/health/ready says when all models are loaded; ${url}/metrics is for Prometheus`,
];

/** Returns the lines for a model that takes requests. */
export function describeModel(model: ServedModel): string[] {
  const { name, version, inputs, outputs, maxBatchSize, notJoined, fallbacks } = model;
  const required = inputs.filter(({ optional }) => !optional);
  const batches =
    maxBatchSize === undefined ? 'requests run one by one' : `batches of up to ${maxBatchSize} samples`;
  return [
    `${printable(name)}, version ${version}: on ${describeExecution(model)}; ${batches}`,
    `  ${required.map(describeTensor).join(', ')} -> ${outputs.map(describeTensor).join(', ')}`,
    ...(notJoined === undefined ? [] : [`  requests are not joined: ${printable(notJoined)}`]),
    ...fallbacks.map(({ provider, reason }) => `  not on ${provider}: ${printable(reason)}`),
  ];
}

const describeTensor = ({ name, dtype, shape }: TensorInfo): string =>
  printable(
    `${name} ${dtype === undefined ? '(not a tensor)' : datatypeOf(dtype)} ${shape ? formatShape(shape) : ''}`.trimEnd(),
  );

/** The most elements that an example has as JSON. */
const MAX_JSON_ELEMENTS = 16;
/** What an example takes for open sizes: one sample, and images of this height and width. */
const IMAGE_SIZE = 64;

/** Returns a command line that sends zeros to a model. */
export function exampleRequest(url: string, model: ServedModel): string {
  const inputs = model.inputs.filter(({ optional }) => !optional).map(exampleInput);
  const address = `${url}/v2/models/${encodeURIComponent(model.name)}/infer`;
  const isSmall = inputs.every(({ shape }) => elementCount(shape) <= MAX_JSON_ELEMENTS);
  const isInJson = inputs.every(({ datatype }) => datatype !== 'FP16' && datatype !== 'BF16');
  if (isSmall && isInJson) {
    const json = {
      inputs: inputs.map(({ name, datatype, shape, zero }) => ({
        name,
        datatype,
        shape,
        data: Array(elementCount(shape)).fill(zero),
      })),
    };
    return `curl -s ${address} -d ${quoted(JSON.stringify(json))}`;
  }
  const json = JSON.stringify({
    inputs: inputs.map(({ name, datatype, shape, bytes }) => ({
      name,
      datatype,
      shape,
      parameters: { binary_data_size: bytes },
    })),
    parameters: { binary_data_output: true },
  });
  const total = inputs.reduce((sum, { bytes }) => sum + bytes, 0);
  const header = `Inference-Header-Content-Length: ${Buffer.byteLength(json)}`;
  return `(printf %s ${quoted(json)}; head -c ${total} /dev/zero) | curl -s ${address} -H '${header}' --data-binary @- -o answer.bin`;
}

function exampleInput({ name, dtype, shape }: TensorInfo) {
  const sizes = (shape ?? [1]).map((dim, axis) =>
    typeof dim === 'number' ? dim : axis >= 2 ? IMAGE_SIZE : 1,
  );
  const isText = dtype === 'string' || dtype === undefined;
  return {
    name,
    datatype: datatypeOf(dtype ?? 'string'),
    shape: sizes,
    zero: isText ? '' : dtype === 'bool' ? false : 0,
    // Four zeros are the length of an empty text.
    bytes: elementCount(sizes) * (isText ? 4 : bytesPerElement(dtype)),
  };
}

/** Quotes text for a shell of POSIX. */
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
