/** Files that people give in place of an ONNX model: what each of them is, and how to get the model. */
import { type FileKind, KINDS, sniff } from '../files/sniff.js';

const GIVE = 'give the .onnx file';
/** What servers answer in place of a file. */
const ANSWER = `${GIVE}; if this file was downloaded as a model, read it, because it is what the server answered instead`;
const EXPORT = 'export the network to ONNX (torch.onnx.export), or build the network with these weights';

const REMEDIES: Readonly<Record<FileKind, string | undefined>> = {
  torch: EXPORT,
  npz: EXPORT,
  zip: 'unpack it, and give the .onnx file in it',
  npy: EXPORT,
  safetensors: EXPORT,
  onnx: undefined,
  json: ANSWER,
  lfs: 'fetch the file that it stands for (git lfs pull), or download that from the web page of the repository',
  gguf: 'look for an ONNX export of the model',
  hdf5: 'export the network to ONNX (tf2onnx)',
  png: 'give the model first, and the image as an input',
  html: `${ANSWER}. An address of Hugging Face has /resolve/ in it and not /blob/`,
  xml: ANSWER,
  gzip: 'unpack it (gunzip, or tar xzf), and give the .onnx file in it',
  ort: 'give the .onnx model that it was made from, because only sessions read this format',
  tflite: 'convert it to ONNX (tf2onnx --tflite)',
  text: GIVE,
  onnxText: 'write it as a binary file (onnx.load, then onnx.save)',
};

/** Returns what a file is instead of a model, and what to do; `undefined` if the file is of no known other kind. */
export function describeOtherFile(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return 'this file is empty: download or export the model again';
  const kind = sniff(bytes);
  const remedy = kind && REMEDIES[kind];
  return remedy === undefined ? undefined : `this is not an ONNX model, it is ${KINDS[kind!]}: ${remedy}`;
}
