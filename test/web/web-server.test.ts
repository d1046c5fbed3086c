import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { mkdir, writeFile } from 'node:fs/promises';
import { request, type IncomingHttpHeaders } from 'node:http';
import { serve, type WebServer } from '../../scripts/web/server.js';
import { temporaryFolder } from '../support/temporary.js';

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Not fetch, which would tidy the path up. */
const get = (server: WebServer, path: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request({ host: 'localhost', port: new URL(server.url).port, path }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    sent.on('error', reject).end();
  });

describe('the server of the page', () => {
  const path = temporaryFolder();
  let server: WebServer;
  beforeEach(async () => {
    await mkdir(path('site'));
    await writeFile(path('secret.txt'), 'secret');
    await writeFile(path('site', 'index.html'), 'the page');
    await writeFile(path('site', 'ort.wasm'), '');
    server = await serve(path('site'));
  });
  afterEach(() => server.close());

  it('the web server gives files with their type, and the page for its folder', async () => {
    const { status, headers, text } = await get(server, '/');
    expect([status, text]).to.deep.equal([200, 'the page']);
    expect(headers['content-type']).to.equal('text/html; charset=utf-8');
    expect((await get(server, '/ort.wasm')).headers['content-type']).to.equal('application/wasm');
  });

  it('the web server gives no file outside of its folder, and no folders', async () => {
    await mkdir(path('site', 'folder'));
    const paths = [
      '/../secret.txt',
      '/%2e%2e/secret.txt',
      '/..%2fsecret.txt',
      '/folder',
      '/%00',
      '/%',
      '/none',
    ];
    for (const one of paths) expect((await get(server, one)).status, one).to.equal(404);
  });

  it('the web server isolates the page and allows neither inline scripts nor eval', async () => {
    const { headers } = await get(server, '/');
    expect(headers['cross-origin-opener-policy']).to.equal('same-origin');
    expect(headers['cross-origin-embedder-policy']).to.equal('require-corp');
    expect(headers['content-security-policy'])
      .to.include("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'")
      .and.not.match(/unsafe-inline|'unsafe-eval'/);
  });

  it('the web server leaves headers out on request', async () => {
    const plain = await serve(path('site'), { headers: 'none' });
    const { headers } = await get(plain, '/');
    await plain.close();
    expect(headers).to.not.have.any.keys('content-security-policy', 'cross-origin-opener-policy');
  });
});
