/** Runs every code block of README.md and docs/, in order, as a reader does who has installed the package. */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { parse } from 'yaml';
import { loadAddon } from '../lib/runtime/native/addon.js';
import { type Block, blocksOf } from './support/markdown.js';
import { describeNative } from './support/native.js';
import { OFFLINE, pack } from './support/packed-package.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TSX = import.meta.resolve('tsx');
const PAGES = ['README.md', ...readdirSync('docs').map((name) => `docs/${name}`)].filter((path) =>
  path.endsWith('.md'),
);
/** The address that a page names stands for a free port. */
const PORTS = ['8080', '8081'];
/** What a reader gives to another program: it must be readable, and its name is in the block's first line. */
const PARSERS: Readonly<Record<string, (text: string) => unknown>> = { json: JSON.parse, yaml: parse };

/** The name of the file that a block is: `// server.mjs: answers requests`, or `# .github/workflows/parity.yml`. */
const fileNameOf = ({ text }: Block): string | undefined =>
  /^(?:\/\/|#) ([\w./-]*\.\w+|Dockerfile)(?=[:,;]? |$)/m.exec(text.split('\n')[0]!)?.[1];

/** What a program prints according to the comments behind its console.log; `…` stands for any text. */
function printedOf(program: string): string[] {
  const comments = program.matchAll(/^.*console\.log\(.*\); \/\/ (.+)$/gm);
  return Array.from(comments, ([, comment]) => comment!).flatMap((comment) => comment.split('…'));
}

function expectPrinted(stdout: string, parts: readonly string[]): void {
  const plain = (text: string) => text.replaceAll(/\s+/g, ' ').trim();
  let rest = plain(stdout);
  for (const part of parts.map(plain)) {
    expect(rest).to.include(part);
    rest = rest.slice(rest.indexOf(part) + part.length);
  }
}

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return String(port);
}

const notRun: string[] = [];

describeNative('the code blocks of README.md and docs/', function () {
  this.timeout(300_000);
  let folder: string;
  let archive: string;
  let isOffline = false;
  const typed: string[] = [];
  const env = {
    ...process.env,
    CLONE: ROOT,
    ONNX_GROUPNORM_ADDON: loadAddon().binary!.path,
    ONNXRUNTIME_NODE_INSTALL: 'skip',
    NODE_OPTIONS: '',
    NO_COLOR: '1',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_prefer_offline: 'true',
    npm_config_ignore_scripts: 'true',
    npm_config_update_notifier: 'false',
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onnx-groupnorm-docs-'));
    archive = await pack(folder);
  });

  after(() => rm(folder, { recursive: true, force: true }));

  for (const page of PAGES) {
    describe(page, () => {
      // README.md comes first and installs the package; the other pages find it in the folder above their own.
      const at = () =>
        page === 'README.md' ? join(folder, 'app') : join(folder, 'app', basename(page, '.md'));
      const servers: ChildProcess[] = [];
      const written = new Map<string, string>();
      const ports = new Map<string, string>();
      let stdout = '';

      before(async () => {
        await mkdir(at(), { recursive: true });
        for (const port of PORTS) ports.set(port, await freePort());
      });

      after(async () => {
        for (const server of servers) {
          process.kill(-server.pid!, 'SIGINT');
          await Promise.race([once(server, 'exit'), setTimeout(20_000, undefined, { ref: false })]);
        }
      });

      /** The block as it is run here: with the archive in place of the published package, and free ports. */
      const here = (text: string): string =>
        [...ports]
          .reduce((replaced, [port, free]) => replaced.replaceAll(port, free), text)
          .replaceAll(/(?<=npm install.*) onnx-groupnorm\b/g, ` '${archive}'`)
          .replaceAll(/onnx-groupnorm serve (?!.*--port)/g, `$&--port ${ports.get('8080')} `);

      async function run(program: string, args: readonly string[], code: number): Promise<void> {
        const result = await new Promise<{ error: Error | null; out: string; err: string }>((resolve) =>
          execFile(program, args, { cwd: at(), env, timeout: 240_000 }, (error, out, err) =>
            resolve({ error, out, err }),
          ),
        );
        stdout = result.out;
        const found = result.error ? (result.error as { code?: unknown }).code : 0;
        expect(found, `${result.out}\n${result.err}`).to.equal(code);
        if (code !== 0) stdout += result.err;
      }

      async function serve(text: string, url: string): Promise<void> {
        const server = spawn('bash', ['-euc', text], { cwd: at(), env, detached: true, stdio: 'inherit' });
        servers.push(server);
        for (let answered = false; !answered; await setTimeout(100)) {
          expect(server.exitCode, 'the server has ended').to.equal(null);
          answered = await fetch(url).then(
            ({ status }) => status !== 503,
            () => false,
          );
        }
      }

      for (const block of blocksOf(page)) {
        const { place, language, note } = block;
        if (note?.kind === 'not run') {
          notRun.push(`${place}: ${note.text}`);
          continue;
        }
        it(`the block at ${place} runs as it is written`, async function () {
          if (isOffline) this.skip();
          const text = here(block.text);
          const name = fileNameOf(block);
          const code = note?.kind === 'exits with' ? Number(note.text) : 0;
          if (language === '' && note?.kind === 'printed') return expectPrinted(stdout, text.split(/\n|…/));
          if (language === '') return;
          if (name !== undefined) {
            await mkdir(dirname(join(at(), name)), { recursive: true });
            await writeFile(join(at(), name), text);
            written.set(name, text);
          }
          if (/^m?ts$/.test(language)) typed.push(join(at(), name ?? `block-${place.split(':')[1]}.mts`));
          if (language === 'set-up' || language === 'sh') {
            if (note?.kind === 'serves') return serve(text, here(note.text));
            try {
              await run('bash', ['-euo', 'pipefail', '-c', text], code);
            } catch (error) {
              if (!/npm install/.test(text) || !OFFLINE.test(String(error))) throw error;
              console.log('    not run: the package registry cannot be reached');
              isOffline = true;
              this.skip();
            }
            const programs = [...written].filter(([file]) => text.includes(file));
            expectPrinted(
              stdout,
              programs.flatMap(([, program]) => printedOf(program)),
            );
          } else if (/^[cm]?[jt]s$/.test(language)) {
            if (name !== undefined) return; // a command below runs it
            const file = `block-${place.split(':')[1]}.${language.startsWith('ts') ? 'mts' : 'mjs'}`;
            await writeFile(join(at(), file), text);
            await run(process.execPath, ['--import', TSX, file], code);
            expectPrinted(stdout, printedOf(text));
          } else {
            expect(PARSERS, `a block of ${language} needs a comment: <!-- not run: WHY -->`).to.have.property(
              language,
            );
            PARSERS[language]!(text);
          }
        });
      }
    });
  }

  // mocha runs the tests of a suite before the suites in it, so these have a suite of their own.
  describe('all pages', () => {
    it('every TypeScript block of README.md and docs/ passes the type checker in strict mode', function () {
      if (isOffline) this.skip();
      const options: ts.CompilerOptions = {
        module: ts.ModuleKind.NodeNext,
        target: ts.ScriptTarget.ES2022,
        lib: ['lib.esnext.d.ts', 'lib.dom.d.ts'],
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        types: ['node', 'mocha'],
        typeRoots: [join(ROOT, 'node_modules/@types')],
      };
      expect(typed).not.to.be.empty;
      const program = ts.createProgram(typed, options);
      const found = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
        const line = file ? file.getLineAndCharacterOfPosition(start!).line + 1 : 0;
        return `${file?.fileName}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
      });
      expect(found).to.deep.equal([]);
    });

    it('every block of README.md and docs/ that is not run says why', () => {
      console.log(
        `    ${notRun.length} blocks are not run:\n${notRun.map((line) => `      ${line}`).join('\n')}`,
      );
      for (const line of notRun) expect(line).to.match(/:\d+: \w.+/);
    });
  });
});
