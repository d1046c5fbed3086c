import { expect } from 'chai';
import { describe, it, before, after } from 'mocha';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Programs of a project that has installed the package: an ES module, and CommonJS. */
const PROGRAM = fileURLToPath(new URL('packed-program.ts', import.meta.url));
const REQUIRING = fileURLToPath(new URL('packed-program.cts', import.meta.url));
const TSCONFIG = {
  compilerOptions: { module: 'NodeNext', target: 'ES2022', strict: true, types: [], lib: ['ES2023', 'DOM'] },
};

const FLAGS = ['--prefer-offline', '--no-audit', '--no-fund', '--onnxruntime-node-install=skip'];

/** Where the kernel lies in the package: built by the install script, or prebuilt by `npm run build:prebuilt`. */
const BUILT = 'native/build/Release/onnx_groupnorm.node';
const PREBUILT = `native/prebuilt/${process.platform}-${process.arch}/onnx_groupnorm.node`;

/** Whether packages of this checkout carry a binary for this machine. */
export const HAS_PREBUILT = existsSync(join(ROOT, PREBUILT));

/**
 * Packs the package into a folder, with the prebuilt binaries that there are, unless `pack-once.ts` has packed it for all files of
 * this run of mocha.
 * @returns The path of the archive.
 */
export async function pack(folder: string): Promise<string> {
  const packed = process.env[PACKED];
  if (packed !== undefined) return packed;
  const env = { ...process.env, ONNX_GROUPNORM_PREBUILT: 'skip' };
  const args = ['pack', '--silent', '--pack-destination', folder];
  const { stdout } = await execute('npm', args, { cwd: ROOT, env });
  return join(folder, stdout.trim().split('\n').at(-1)!);
}

/** The variable with the path of the archive that `pack-once.ts` has made. */
export const PACKED = 'ONNX_GROUPNORM_PACKED';

/** What package managers say when it is the network that is missing, and not the package that is wrong. */
export const OFFLINE = /ENOTFOUND|EAI_AGAIN|ENETUNREACH|ETIMEDOUT|ECONNREFUSED|ENOTCACHED/;

/**
 * Tests the package, packed and installed in an empty project.
 * @param addon Whether the install compiles the native kernel, which takes most of the time, or leaves it out.
 */
export function testPackage({ addon }: { readonly addon: 'built' | 'skip' }): void {
  const title = addon === 'skip' ? 'without the native kernel' : 'with the native kernel if it builds';
  describe(`the package, packed and installed ${title} in an empty ESM project`, function () {
    this.timeout(600_000);
    let project: string;
    let archive: string;
    // The slowest part of an install is the optimizer of the C++ compiler.
    const env = {
      ...process.env,
      ...(addon === 'skip' ? { ONNX_GROUPNORM_ADDON: 'skip' } : { CXXFLAGS: '-O0' }),
    };
    const inProject = async (file: string, args: string[]): Promise<string> =>
      (await execute(file, args, { cwd: project, env })).stdout;

    before(async function () {
      // The path has a space, as many a user's has.
      project = await mkdtemp(join(tmpdir(), 'new project-'));
      archive = await pack(project);
      await writeFile(join(project, 'package.json'), '{ "name": "new-project", "type": "module" }');
      await copyFile(PROGRAM, join(project, 'program.ts'));
      await copyFile(REQUIRING, join(project, 'requiring.cts'));
      await writeFile(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
      try {
        await inProject('npm', ['install', ...FLAGS, archive]);
      } catch (error) {
        if (!OFFLINE.test(String((error as { stderr?: string }).stderr))) throw error;
        console.log('    not run: the package registry cannot be reached');
        this.skip();
      }
    });

    after(() => rm(project, { recursive: true, force: true }));

    it(`the packed package, installed ${title}, type-checks in strict mode, its declarations included, and runs`, async () => {
      await execute(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', project], {
        cwd: project,
      });
      const installed = join(project, 'node_modules/onnx-groupnorm');
      const hasBinary = [BUILT, PREBUILT].some((binary) => existsSync(join(installed, binary)));
      const hasKernel = hasBinary && addon !== 'skip';
      const ranOn = hasKernel ? ['native', 'kernel'] : ['cpu', 'reduce-mean'];
      console.log(`    installed ${hasKernel ? 'with the native kernel' : 'without the native kernel'}`);
      const printed = JSON.parse(await inProject(process.execPath, ['program.js'])) as unknown[];
      expect(printed).to.deep.equal([[1, 32, 8, 8], true, [0, 255], 'function', ...ranOn, [0, 1]]);
    });

    it(`the packed package, installed ${title}, can be required: it is the module that import gives`, async () => {
      const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
      // TypeScript before 5.8 has no other module setting for Node.
      await inProject(process.execPath, [tsc, '-p', '.', '--module', 'Node16']);
      const printed = JSON.parse(await inProject(process.execPath, ['requiring.cjs'])) as unknown[];
      expect(printed).to.deep.equal([true, 'function', [7], 2]);
      const schema = "require('onnx-groupnorm/schemas/parity.schema.json').$id";
      expect(await inProject(process.execPath, ['-p', schema])).to.include('schemas:parity');
    });

    it(`the packed package, installed ${title}, adds its matchers and their types to chai 5 and 6`, async () => {
      for (const name of ['packed-chai.ts', 'packed-chai.cts'])
        await copyFile(fileURLToPath(new URL(name, import.meta.url)), join(project, name));
      await inProject('npm', ['install', ...FLAGS, 'chai@6', 'chai-5@npm:chai@5', '@types/chai@5']);
      const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
      await inProject(process.execPath, [tsc, '-p', '.', '--types', 'chai']);
      const printed = JSON.parse(await inProject(process.execPath, ['packed-chai.js'])) as unknown[];
      const message = 'expected float32 [1] to match';
      expect(printed).to.deep.equal([message, message]);
      expect(JSON.parse(await inProject(process.execPath, ['packed-chai.cjs']))).to.equal('function');
    });

    it(`the packed package, installed ${title}, holds no build products`, async () => {
      const listed = await inProject('tar', ['-tzf', archive]);
      expect(listed).to.include('package/native/binding.gyp');
      expect(listed).to.include('package/dist/lib/index.d.ts');
      expect(listed).to.include('package/dist/lib/browser.js').and.not.include('package/web/');
      expect(listed).not.to.match(/native\/(build|node_modules|test)\/|_test\.cc|\.(o|a|map|tgz)$/m);
    });

    it(`the packed package, installed ${title}, installs its command`, async () => {
      const bin = join(project, 'node_modules/.bin/onnx-groupnorm');
      await inProject(bin, [
        'build',
        'group-norm',
        '--num-groups',
        '2',
        '--num-channels',
        '4',
        '-o',
        'gn.onnx',
      ]);
      const printed = await inProject(bin, ['run', 'gn.onnx', '--input', 'x=random', '--dim', 'N=1,H=4,W=4']);
      expect(printed).to.include('[1, 4, 4, 4]');
    });
  });
}
