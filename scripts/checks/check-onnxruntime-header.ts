/**
 * Checks native/onnxruntime/c_api.h against ONNX Runtime's official header, at compile time. It downloads the header
 * in the tarball of an npm package.
 *
 *   npm run check:header
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Carries the header of ONNX Runtime 1.29 (API 29) inside its Apple framework. */
const PACKAGE = 'com.github.asus4.onnxruntime@0.4.9';
const TEST = fileURLToPath(new URL('../../native/onnxruntime/c_api_layout_test.cc', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'onnxruntime-header-'));
try {
  const header = fetchHeader();
  const flags = ['-std=c++17', '-Wall', '-Wextra', '-Werror', '-Wno-ignored-attributes', '-fsyntax-only'];
  execFileSync(process.env.CXX ?? 'c++', [...flags, '-I', dirname(header), TEST], { stdio: 'inherit' });
  console.log(`c_api.h agrees with the official header in ${PACKAGE}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function fetchHeader(): string {
  execFileSync('npm', ['pack', '--silent', PACKAGE], { cwd: folder });
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!;
  execFileSync('tar', ['-xzf', tarball], { cwd: folder });
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return join(
    folder,
    files.find((name) => name.endsWith('onnxruntime_c_api.h'))!,
  );
}
