/** What to do about parts of CUDA that are missing. */

/** onnxruntime-node's install script, by itself: npm does not run it where a setting or `allowScripts` says so. */
export const DOWNLOAD = 'ONNXRUNTIME_NODE_INSTALL=true node node_modules/onnxruntime-node/script/install.js';

/** From version 1.29 on ONNX Runtime looks for cuDNN only when a kernel needs it. */
export const cudnnRemedy = (version: string): string =>
  `install cuDNN ${version} for the same CUDA (NVIDIA's repository: sudo apt install cudnn${version}), or put the ` +
  'folder of its libraries into LD_LIBRARY_PATH';
