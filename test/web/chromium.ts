/** Starts the system's own Chromium; downloads nothing. */
import { describe, it, type Suite } from 'mocha';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

const CHROMIUM = process.env['CHROMIUM_PATH'] || NAMES.flatMap(inPath).find(isExecutable);

/** Why tests in a browser cannot run; `undefined` if they can. */
const REASON =
  CHROMIUM === undefined
    ? `${NAMES.join(', ')} are not in PATH, and CHROMIUM_PATH is not set (Debian: apt-get install chromium)`
    : undefined;

/** Declares tests that need a browser; without one, a line says that they did not run, and why. */
export function describeInBrowser(title: string, tests: (this: Suite) => void): void {
  describe(title, function () {
    this.timeout(120_000);
    if (REASON === undefined) return tests.call(this);
    it(`${title} runs in Chromium`, function () {
      console.log(`    not run in a browser: ${REASON}`);
      this.skip();
    });
  });
}

function inPath(name: string): string[] {
  return (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Flags for a GPU in software, so that WebGPU can be tried without a GPU. */
const SOFTWARE_GPU = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
];

/** Starts a browser with a new profile; it sends no data anywhere. */
export function launch({ gpu }: { gpu: boolean }): Promise<Browser> {
  const isRoot = process.getuid?.() === 0;
  return chromium.launch({
    executablePath: CHROMIUM!,
    args: [
      ...(isRoot ? ['--no-sandbox'] : []),
      ...(gpu ? SOFTWARE_GPU : ['--disable-gpu']),
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
