/** A server for the tests of HTTP, with small models, and requests to it over sockets. */
import { after, before } from 'mocha';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createServer, type Server, type ServerOptions } from '../../../lib/server/index.js';
import { type DType, elementCount, tensor } from '../../../lib/tensor.js';
import { declared, node, smallModel, STRING } from '../../support/small-model.js';

const copy = (dtype: DType | typeof STRING): Uint8Array =>
  smallModel([node('Identity', 'x', 'y')], {
    input: [declared('x', dtype, ['N', 2])],
    output: [declared('y', dtype, ['N', 2])],
  });

/** A model that computes for a good while though requests and answers are small: y = W · W · … · W · v for W = w + x. */
function heavyModel(steps: number): Uint8Array {
  const size = 768;
  const numbers = (dims: number[]) =>
    tensor('float32', dims, new Float32Array(elementCount(dims)).fill(1 / size));
  const products = Array.from({ length: steps }, (_, i) => node('MatMul', `p${i} p0`, `p${i + 1}`));
  return smallModel([node('Add', 'w x', 'p0'), ...products, node('MatMul', `p${steps} v`, 'y')], {
    input: [declared('x', 'float32', [1])],
    output: [declared('y', 'float32', [size, 1])],
    weights: { w: numbers([size, size]), v: numbers([size, 1]) },
  });
}

/** `square`: y = x · x for x (N, 4) of float32; `sum`: s = a + b; `copy-DTYPE`: y = x for x (N, 2); `heavy`: a while. */
export const MODELS: Readonly<Record<string, () => Uint8Array>> = {
  square: () => smallModel([node('Mul', 'x x', 'y')]),
  sum: () =>
    smallModel([node('Add', 'a b', 's')], {
      input: [declared('a', 'float32', ['N', 2]), declared('b', 'float32', ['N', 2])],
      output: [declared('s', 'float32', ['N', 2])],
    }),
  'copy-int64': () => copy('int64'),
  'copy-uint8': () => copy('uint8'),
  'copy-bool': () => copy('bool'),
  'copy-float64': () => copy('float64'),
  'copy-float16': () => copy('float16'),
  'copy-text': () => copy(STRING),
  heavy: () => heavyModel(12),
};

/** A server of the test file, with the models of these names; its port and its base URL. */
export function serverOf(names: readonly string[], options: Partial<ServerOptions> = {}) {
  let folder: string;
  let url: string;
  let server: Server;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onnx-groupnorm-serve-'));
    for (const name of names) await writeFile(join(folder, `${name}.onnx`), MODELS[name]!());
    server = createServer({ model: folder, port: 0, ...options });
    url = await server.listen();
    await server.loaded();
  });
  after(async () => {
    await server.close({ timeout: 2000 });
    await rm(folder, { recursive: true, force: true });
  });
  return {
    server: () => server,
    folder: () => folder,
    port: () => Number(new URL(url).port),
    get: (path: string, init?: RequestInit) => fetch(url + path, init),
    /** Sends a body to a model, and returns the status and the JSON of the answer. */
    infer: async (model: string, body: unknown, headers: Record<string, string> = {}) => {
      const init = { method: 'POST', headers, body: bytesOfBody(body) };
      const answer = await fetch(`${url}/v2/models/${model}/infer`, init);
      return { status: answer.status, headers: answer.headers, json: (await answer.json()) as InferAnswer };
    },
  };
}

/** An answer to an inference request. */
export interface InferAnswer {
  readonly id?: string;
  readonly error?: string;
  readonly outputs: { readonly name: string; readonly shape: number[]; readonly data: unknown[] }[];
}

const bytesOfBody = (body: unknown) =>
  typeof body === 'string' || body instanceof Uint8Array
    ? (body as Uint8Array<ArrayBuffer> | string)
    : JSON.stringify(body);

/** A request for `square`: samples of 4 numbers. */
export const squareRequest = (data: number[], rest: object = {}): object => ({
  inputs: [{ name: 'x', shape: [data.length / 4, 4], datatype: 'FP32', data }],
  ...rest,
});

/** An answer as bytes came. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Makes the bytes of a request. */
export const requestBytes = (
  path: string,
  headers: Readonly<Record<string, string | number>>,
  body: Uint8Array | string = '',
  method = 'POST',
): Buffer => {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([
    Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${lines.join('')}\r\n`, 'latin1'),
    Buffer.from(body),
  ]);
};

/** A connection on which a test writes what it likes. */
export class Connection {
  readonly socket: Socket;
  #pieces: Buffer[] = [];
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (chunk) => {
      this.#pieces.push(chunk);
      this.#wake();
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  /** Writes pieces, with a moment between them, so that they arrive one by one. */
  async write(...pieces: (Uint8Array | string)[]): Promise<this> {
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await setTimeout(5);
      this.socket.write(piece);
    }
    return this;
  }

  /** Returns the next answer; fails if the connection closes first. */
  async answer(): Promise<RawAnswer> {
    let needed = 0;
    for (;;) {
      const hasCome = this.#pieces.reduce((total, piece) => total + piece.length, 0) >= needed;
      // A large answer comes in many pieces: to join them each time would take long.
      const received = hasCome ? this.#joined() : Buffer.alloc(0);
      const end = received.indexOf('\r\n\r\n');
      if (end >= 0) {
        const [first = '', ...lines] = received.subarray(0, end).toString('latin1').split('\r\n');
        const headers = Object.fromEntries(
          lines.map((line) => [
            line.split(':', 1)[0]!.toLowerCase(),
            line.slice(line.indexOf(':') + 1).trim(),
          ]),
        );
        const status = Number(first.split(' ')[1]);
        const start = end + 4;
        const length = status === 100 ? 0 : Number(headers['content-length'] ?? 0);
        needed = start + length;
        if (received.length >= needed) {
          this.#pieces = [received.subarray(needed)];
          return { status, headers, body: received.subarray(start, needed) };
        }
      }
      if (this.#isClosed)
        throw new Error(`the connection closed; received ${this.#joined().toString('latin1')}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #joined(): Buffer {
    const all = Buffer.concat(this.#pieces);
    this.#pieces = [all];
    return all;
  }

  /** Waits until the server has closed the connection. */
  async closed(): Promise<void> {
    while (!this.#isClosed) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

/** Sends a request on a connection of its own, and returns its answer. */
export async function exchange(port: number, ...pieces: (Uint8Array | string)[]): Promise<RawAnswer> {
  const connection = new Connection(port);
  try {
    await connection.write(...pieces);
    return await connection.answer();
  } finally {
    connection.socket.destroy();
  }
}
