/** Recognizes kinds of files by their first bytes, so that a message can say what a wrong file is. */

/** Kinds of files that people confuse, as messages call them. */
export const KINDS = {
  torch: 'a torch.save file',
  npz: 'a .npz archive',
  zip: 'a zip archive, such as torch.save writes',
  npy: 'a .npy file',
  safetensors: 'a safetensors file',
  onnx: 'an ONNX model',
  json: 'JSON text',
  lfs: 'a Git LFS pointer',
  gguf: 'a GGUF file',
  hdf5: 'an HDF5 file',
  png: 'a PNG image',
  html: 'a page of HTML',
  xml: 'XML text',
  gzip: 'a gzip archive',
  ort: "a model in ONNX Runtime's own format (.ort)",
  tflite: 'a TensorFlow Lite model',
  onnxText: 'an ONNX model as text',
  text: 'plain text',
} as const;

export type FileKind = keyof typeof KINDS;

/** Expressions over the first bytes as Latin-1; the first match counts. */
const SIGNATURES: readonly (readonly [RegExp, FileKind])[] = [
  // In a zip archive, the name of the first entry is at byte 30.
  [/^PK\x03\x04[^]{26}[^\0]*\.npy/, 'npz'],
  [/^PK\x03\x04[^]{26}[^\0]*data\.pkl/, 'torch'],
  [/^PK\x03\x04/, 'zip'],
  // A pickle, as torch.save wrote before PyTorch 1.6.
  [/^\x80[\x02-\x05]/, 'torch'],
  [/^\x93NUMPY/, 'npy'],
  [/^version https:\/\/git-lfs/, 'lfs'],
  [/^GGUF/, 'gguf'],
  [/^\x89HDF/, 'hdf5'],
  [/^\x89PNG/, 'png'],
  [/^\x1f\x8b/, 'gzip'],
  // Flatbuffers have the name of their format at byte 4.
  [/^[^]{4}ORTM/, 'ort'],
  [/^[^]{4}TFL3/, 'tflite'],
  // A byte order mark may come before text.
  [/^(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body)\b/i, 'html'],
  [/^(\xef\xbb\xbf)?\s*<\?xml/, 'xml'],
  // protobuf's text format, and ONNX's own.
  [/^\s*((ir_version|producer_name|opset_import|graph|model_version)\s*[:{]|<\s*ir_version\s*:)/, 'onnxText'],
  // The IR version, followed by the producer's name, the opsets or the graph.
  [/^\x08[\x03-\x20](\x12|\x3a|\x42)/, 'onnx'],
  [/^\s*(\{\s*["}]|\[[\s[]*["{\]\d-])/, 'json'],
  [/^[^]{4}\0{4}\{/, 'safetensors'],
  // UTF-16 begins with its byte order mark. Other text is UTF-8 without control characters.
  [/^(\xff\xfe|\xfe\xff|(?:[\t\n\r\x20-\x7e]|[\xc2-\xf4][\x80-\xbf]*)+$)/, 'text'],
];

/** How many bytes {@link sniff} looks at. */
const PREFIX = 256;

/** Returns the kind of a file, or `undefined` if its first bytes match no known kind. */
export function sniff(bytes: Uint8Array): FileKind | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, PREFIX));
  return SIGNATURES.find(([signature]) => signature.test(text))?.[1];
}
