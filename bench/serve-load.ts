/**
 * The load of `bench:serve`, in a process of its own: keep-alive connections that each send one request after another. The figures go
 * to stdout as JSON. It reads no more of an answer than its status and its length, into one buffer for all: autocannon and Node's own
 * client are slower than the servers here if an answer has megabytes.
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { quantile } from './statistics.js';

/** What to send. */
export interface Load {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Path of a file with the body. */
  readonly body: string;
  readonly connections: number;
  readonly seconds: number;
}

/** What came back. Times are milliseconds. */
export interface LoadFigures {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Requests without an answer, or with a status other than 200. */
  readonly failed: number;
}

const { url, headers, body, connections, seconds } = JSON.parse(process.argv[2]!) as Load;
const { hostname, port, pathname, host } = new URL(url);
const content = readFileSync(body);
const fields = Object.entries({ host, ...headers, 'content-length': content.length });
const head = `POST ${pathname} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
const bytes = Buffer.concat([Buffer.from(head), content]);

const shared = Buffer.allocUnsafe(2 ** 20);
const times: number[] = [];
let failed = 0;
const start = performance.now();
const isOver = (): boolean => performance.now() - start >= 1000 * seconds;

/** Sends one request after another on a connection, until the time is over. */
const useConnection = (): Promise<void> =>
  new Promise((resolve) => {
    let sent = 0;
    /** The start of an answer, until its head is complete. */
    let text = '';
    /** The bytes of the answer that are still to come; `undefined` before its head. */
    let left: number | undefined;
    let isOk = false;
    const end = (): void => {
      socket.destroy();
      resolve();
    };
    const send = (): void => {
      if (isOver()) return end();
      [sent, text, left] = [performance.now(), '', undefined];
      socket.write(bytes);
    };
    const receive = (count: number): boolean => {
      if (left === undefined) {
        text += shared.toString('latin1', 0, count);
        const headLength = text.indexOf('\r\n\r\n') + 4;
        if (headLength < 4) return true;
        isOk = text.startsWith('HTTP/1.1 200 ');
        const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(text.slice(0, headLength))?.[1];
        if (length === undefined)
          throw new Error(`the answer has no content-length: ${text.slice(0, headLength)}`);
        left = Number(length) + headLength - text.length;
      } else left -= count;
      if (left > 0) return true;
      if (isOk) times.push(performance.now() - sent);
      else failed += 1;
      send();
      return true;
    };
    const socket = connect(
      { host: hostname, port: Number(port), onread: { buffer: shared, callback: receive } },
      send,
    );
    socket.setNoDelay();
    socket.once('error', () => {
      failed += 1;
      end();
    });
    socket.once('close', end);
  });

await Promise.all(Array.from({ length: connections }, useConnection));
const duration = (performance.now() - start) / 1000;
const figures: LoadFigures = {
  perSecond: times.length / duration,
  p50: quantile(times, 0.5),
  p99: quantile(times, 0.99),
  failed,
};
console.log(JSON.stringify(figures));
