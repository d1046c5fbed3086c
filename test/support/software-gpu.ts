/** A GPU in software for onnxruntime-node's WebGPU: the SwiftShader that Chromium brings along. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { listSupportedBackends } from 'onnxruntime-node';
import { bundle } from './bundle.js';

const FOLDERS = ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome'];
const FILES = ['vk_swiftshader_icd.json', 'libvk_swiftshader.so', 'libvulkan.so.1'];
const FOLDER = FOLDERS.find((folder) => FILES.every((file) => existsSync(join(folder, file))));

/** Why this machine has no software GPU; `undefined` if it has one. */
export const SOFTWARE_GPU_REASON = whyNot();

function whyNot(): string | undefined {
  if (!listSupportedBackends().some(({ name }) => name === 'webgpu')) {
    return `onnxruntime-node has no webgpu for ${process.platform}-${process.arch}`;
  }
  return FOLDER === undefined
    ? `there is no Chromium with SwiftShader in ${FOLDERS.join(', ')} (Debian: apt-get install chromium)`
    : undefined;
}

/**
 * Runs a TypeScript program, named relative to the repository, in a process of its own, because the Vulkan loader
 * reads its variables once.
 * @returns The JSON that it prints. Its exit status is not looked at.
 */
export async function onSoftwareGpu<Result>(
  program: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Result> {
  const root = new URL('../../', import.meta.url);
  const file = await bundle(new URL(program, root));
  return new Promise((resolve, reject) => {
    const options = {
      cwd: root,
      timeout: 120_000,
      maxBuffer: 1 << 26,
      env: {
        ...process.env,
        VK_ICD_FILENAMES: join(FOLDER!, FILES[0]!),
        VK_LOADER_LAYERS_DISABLE: '~implicit~',
        LD_LIBRARY_PATH: [FOLDER, process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':'),
        ...env,
      },
    };
    execFile(process.execPath, [file, ...args], options, (_, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout) as Result);
      } catch {
        reject(new Error(`${program} printed no JSON: ${stdout}\n${stderr}`));
      }
    });
  });
}
