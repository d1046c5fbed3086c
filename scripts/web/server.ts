/** Serves static files with the headers that docs/web.md recommends. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize, sep } from 'node:path';

/** Allows the page's own files only. `wasm-unsafe-eval` allows compiling WebAssembly, and not evaluating text. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const SECURITY = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};

/** Isolates the page from other sites, which browsers require for several threads. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
};

export interface WebServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface WebServerOptions {
  /** Default: a free port. */
  readonly port?: number;
  /** `all`: as docs/web.md recommends; `policy`: without isolation; `none`: no security headers. Default `all`. */
  readonly headers?: 'all' | 'policy' | 'none';
}

/** Serves a folder on this machine only. */
export async function serve(
  folder: string,
  { port = 0, headers = 'all' }: WebServerOptions = {},
): Promise<WebServer> {
  const extra = { ...(headers !== 'none' && SECURITY), ...(headers === 'all' && ISOLATION) };
  const server = createServer((request, response) => void answer(folder, extra, request, response));
  await listen(server, port);
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const listen = (server: Server, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, 'localhost', resolve);
  });

async function answer(
  folder: string,
  headers: Readonly<Record<string, string>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = pathOf(folder, request.url ?? '/');
  const found = path === undefined ? undefined : await stat(path).catch(() => undefined);
  if (!found?.isFile()) {
    response.writeHead(404, headers).end();
    return;
  }
  const type = TYPES[extname(path!)] ?? 'application/octet-stream';
  response.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': found.size });
  createReadStream(path!).pipe(response);
}

/** Returns the path of a file in the folder; undefined for a URL that points outside. */
function pathOf(folder: string, url: string): string | undefined {
  let name: string;
  try {
    name = decodeURIComponent(new URL(url, 'http://localhost').pathname);
  } catch {
    return undefined;
  }
  const path = normalize(join(folder, name.endsWith('/') ? `${name}index.html` : name));
  return path.startsWith(normalize(folder + sep)) && !path.includes('\0') ? path : undefined;
}
