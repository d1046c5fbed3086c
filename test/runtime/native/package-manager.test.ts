import { expect } from 'chai';
import { describe, it } from 'mocha';
import { mkdir, writeFile } from 'node:fs/promises';
import { howToBuild } from '../../../lib/runtime/native/package-manager.js';
import { temporaryFolder } from '../../support/temporary.js';

/** The commands of each package manager: after an install script that it did not run, and after one that failed. */
const NPM = [['npm install-scripts approve onnx-groupnorm', 'npm rebuild onnx-groupnorm'], 'npm rebuild onnx-groupnorm']; // prettier-ignore
const PNPM = [['pnpm approve-builds', 'pnpm rebuild onnx-groupnorm'], 'pnpm rebuild onnx-groupnorm'];
const YARN = [['"onnx-groupnorm": { "built": true }', 'yarn rebuild onnx-groupnorm'], 'yarn rebuild onnx-groupnorm']; // prettier-ignore
const YARN_1 = [['yarn install --force'], 'yarn install --force'];
const BUN = [['bun pm trust onnx-groupnorm'], 'bun install --force'];
const CLONE = [['npm run build:addon'], 'npm run build:addon'];

/** Where the package lies, and which file tells, in installations by npm 10 to 12, pnpm 10 to 12, Yarn 1 and 4, Bun 1.4. */
const LAYOUTS = [
  ['npm', 'node_modules/onnx-groupnorm', 'node_modules/.package-lock.json', NPM],
  ['npm, copied without its hidden files', 'node_modules/onnx-groupnorm', '', NPM],
  ['pnpm', 'node_modules/.pnpm/gn@0.1.0/node_modules/onnx-groupnorm', 'node_modules/.modules.yaml', PNPM],
  ['pnpm, shared store', 'store/v11/links/@/gn/0.1.0/ed92/node_modules/onnx-groupnorm', '', PNPM],
  ['Yarn', 'node_modules/onnx-groupnorm', 'node_modules/.yarn-state.yml', YARN],
  ["Yarn, nodeLinker 'pnpm'", 'node_modules/.store/gn-npm-0.1.0/package', '', YARN],
  ['Yarn 1', 'node_modules/onnx-groupnorm', 'node_modules/.yarn-integrity', YARN_1],
  ['Bun', 'node_modules/onnx-groupnorm', 'bun.lock', BUN],
  ['Bun, isolated', 'node_modules/.bun/gn@0.1.0/node_modules/onnx-groupnorm', '', BUN],
  ['git clone', 'onnx-groupnorm', '', CLONE],
] as const;

describe('howToBuild', () => {
  const path = temporaryFolder();

  for (const [manager, folder, trace, [notRun, again]] of LAYOUTS) {
    it(`howToBuild names the commands of the package manager (${manager})`, async () => {
      await mkdir(path(folder), { recursive: true });
      if (trace !== '') await writeFile(path(trace), '');
      for (const command of notRun!) expect(howToBuild(path(folder), false)).to.include(command);
      expect(howToBuild(path(folder), true)).to.equal(`run '${again as string}'`);
    });
  }
});
