import { unrankedNames } from '../onnx/index.js';
import type { TensorInfo } from './backend.js';

/** ONNX Runtime describes a tensor of any rank as it does a scalar: the model's bytes say which it is. */
export function withOpenRanks(model: Uint8Array, infos: readonly TensorInfo[]): readonly TensorInfo[] {
  const isScalar = ({ shape }: TensorInfo) => shape?.length === 0;
  if (!infos.some(isScalar)) return infos;
  const unranked = unrankedNames(model);
  return infos.map((info) =>
    isScalar(info) && unranked.has(info.name) ? { ...info, shape: undefined } : info,
  );
}
