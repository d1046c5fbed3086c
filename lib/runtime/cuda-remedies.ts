/** What to do about parts of CUDA that are missing. */

/** onnxruntime-node's install script, by itself: npm does not run it where a setting or `allowScripts` says so. */
export const DOWNLOAD = 'ONNXRUNTIME_NODE_INSTALL=true node node_modules/onnxruntime-node/script/install.js';

export const DRIVER_REMEDY =
  "install NVIDIA's driver (Ubuntu: sudo ubuntu-drivers install), and start a container with --gpus all; " +
  'nvidia-smi then lists the GPU';

/**
 * Where the provider's libraries are had from. PyPI has them in Microsoft's build of the same version for Python, for
 * machines that cannot reach what the install script downloads from.
 * @param folder Where onnxruntime-node has libonnxruntime.so.1.
 */
export const librariesRemedy = (version: string, folder: string): string =>
  `run '${DOWNLOAD}', which downloads it; or, on linux-x64, take it out of PyPI's onnxruntime-gpu: ` +
  `'pip install --no-deps --target ort-gpu onnxruntime-gpu==${version} && ` +
  `cp ort-gpu/onnxruntime/capi/libonnxruntime_providers_*.so ${folder}'`;

/** By the number that CUDA gives a failure, where that says what to do. Source: cudaError_t. */
const FAILURES: Readonly<Record<string, string>> = {
  35: `the driver is older than the CUDA of the provider: ${DRIVER_REMEDY}`,
  100: `nvidia-smi must list a GPU, and CUDA_VISIBLE_DEVICES not hide it: start a container with --gpus all`,
  803: `restart the machine: the driver in the kernel and its libraries are of two versions`,
};

export const failureRemedy = (reason: string): string | undefined =>
  FAILURES[/\bCUDA failure (\d+)/.exec(reason)?.[1] ?? ''];

/** From version 1.29 on ONNX Runtime looks for cuDNN only when a kernel needs it. */
export const cudnnRemedy = (version: string): string =>
  `install cuDNN ${version} for the same CUDA (NVIDIA's repository: sudo apt install cudnn${version}), or put the ` +
  'folder of its libraries into LD_LIBRARY_PATH';
