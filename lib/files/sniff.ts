/** What a file is that cannot be read as what it was taken for, by its first bytes. */

/** Kinds of files that are mistaken for others, as messages call them. */
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
} as const;

export type FileKind = keyof typeof KINDS;

/** By what the first bytes are as Latin-1; the first that matches. */
const SIGNATURES: readonly (readonly [RegExp, FileKind])[] = [
  // A local file header has the name of its first entry at byte 30.
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
  // The IR version, and next to it the producer's name, the opsets or the graph.
  [/^\x08[\x03-\x20](\x12|\x3a|\x42)/, 'onnx'],
  [/^\s*[{[]\s*["\]}]/, 'json'],
  [/^[^]{4}\0{4}\{/, 'safetensors'],
];

/** As many bytes as {@link sniff} looks at. */
const LOOKED_AT = 256;

/** The kind of a file; `undefined` if its first bytes are those of none that is known. */
export function sniff(bytes: Uint8Array): FileKind | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, LOOKED_AT));
  return SIGNATURES.find(([signature]) => signature.test(text))?.[1];
}
