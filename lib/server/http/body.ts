/** Reads the body of a request: within its limits, unpacked, and placed so that tensors can be read where they are. */
import type { IncomingMessage } from 'node:http';
import { createGunzip, createInflate } from 'node:zlib';
import { RequestError, ServerError } from '../../errors.js';

/** How much memory bodies may take. */
export interface BodyLimits {
  /** The most bytes of one body, as it is sent and unpacked. */
  readonly maxBody: number;
  /** The bytes of all bodies that the server holds. */
  readonly memory: BodyMemory;
}

/** Counts the bytes of the bodies that a server holds at once, so that many clients cannot take all memory. */
export class BodyMemory {
  #used = 0;

  constructor(readonly limit: number) {}

  /** Takes bytes, which the caller gives back by {@link give}. @throws ServerError `BUSY`. */
  take(bytes: number): void {
    this.#used += bytes;
    if (this.#used <= this.limit) return;
    throw new ServerError('BUSY', 'the server holds as many requests as its memory allows: try again later');
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}

/** Tensors of up to 8 bytes per element are read in place if they begin at a multiple of this. */
const ALIGNMENT = 8;

/** A client's `Content-Length` is believed, and memory taken for it, once this part of the body has come. */
const BELIEVED_PART = 1 / 8;

/**
 * Refuses a body by its headers alone, before a byte of it is read.
 * @throws RequestError `TOO_LARGE`, `ENCODING_UNSUPPORTED`.
 */
export function checkBodyHeaders({ headers }: IncomingMessage, maxBody: number): void {
  const length = Number(headers['content-length'] ?? 0);
  if (length > maxBody) throw tooLarge(`the body has ${headers['content-length']} bytes`, maxBody);
  codingOf(headers['content-encoding']);
}

/** Makes memory for so many bytes, which begins at a multiple of {@link ALIGNMENT}. */
export type Allocate = (length: number) => Uint8Array<ArrayBuffer>;

/**
 * Reads and unpacks a body.
 * @param jsonLength How many bytes of JSON stand before the tensors.
 * @param allocate Makes the memory for the body. Default: memory of the garbage collector.
 * @throws RequestError `TOO_LARGE`, `REQUEST_INVALID`, `ENCODING_UNSUPPORTED`; ServerError `BUSY`.
 */
export async function readBody(
  request: IncomingMessage,
  jsonLength: number | undefined,
  limits: BodyLimits,
  allocate: Allocate = (length) => Buffer.allocUnsafeSlow(length),
): Promise<{ readonly bytes: Buffer; readonly release: () => void }> {
  const coding = codingOf(request.headers['content-encoding']);
  const length = coding === undefined ? request.headers['content-length'] : undefined;
  const body = new Body(limits, jsonLength ?? 0, allocate, length === undefined ? Infinity : Number(length));
  try {
    await collect(request, coding, body, limits.maxBody);
    return { bytes: body.whole(), release: () => body.release() };
  } catch (error) {
    body.release();
    throw error;
  }
}

/** The bytes of a body, as they come. */
class Body {
  /** The bytes that the server's memory counts for this body, and those that have come. */
  #held = 0;
  #length = 0;
  /** What has come, until there is memory for the whole body. */
  #chunks: Buffer[] = [];
  #bytes: Buffer | undefined;

  /** @param claimed The length that the client claims; Infinity if only the end of the body tells it. */
  constructor(
    readonly limits: BodyLimits,
    readonly jsonLength: number,
    readonly allocate: Allocate,
    readonly claimed: number,
  ) {}

  /** @throws RequestError `TOO_LARGE`; ServerError `BUSY`. */
  add(chunk: Buffer): void {
    if (this.#bytes) {
      this.#bytes.set(chunk, this.#length);
      this.#length += chunk.length;
      return;
    }
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const isBelieved = this.#length >= this.claimed * BELIEVED_PART;
    this.#hold(isBelieved ? this.claimed : this.#length);
    if (isBelieved) this.#bytes = this.#join(this.claimed);
  }

  /** Returns the body, whose first byte behind the JSON lies at a multiple of {@link ALIGNMENT}. */
  whole(): Buffer {
    return this.#bytes ?? this.#join(this.#length);
  }

  release(): void {
    this.limits.memory.give(this.#held);
    this.#held = 0;
  }

  #hold(bytes: number): void {
    const { maxBody, memory } = this.limits;
    if (bytes > maxBody) throw tooLarge(`the body has more than ${maxBody} bytes`, maxBody);
    const more = bytes - this.#held;
    this.#held = bytes;
    memory.take(more);
  }

  /** Takes memory for a body of this length, and begins it with the chunks. */
  #join(length: number): Buffer {
    const padding = (ALIGNMENT - (this.jsonLength % ALIGNMENT)) % ALIGNMENT;
    const { buffer, byteOffset } = this.allocate(padding + length);
    const bytes = Buffer.from(buffer, byteOffset + padding, length);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [];
    return bytes;
  }
}

type Coding = 'gzip' | 'deflate' | undefined;

function codingOf(header: string | undefined): Coding {
  const coding = header?.trim().toLowerCase() ?? 'identity';
  if (coding === '' || coding === 'identity') return undefined;
  if (coding === 'gzip' || coding === 'x-gzip') return 'gzip';
  if (coding === 'deflate') return 'deflate';
  throw new RequestError(
    'ENCODING_UNSUPPORTED',
    `Content-Encoding '${header}': send gzip, deflate or plain bytes`,
  );
}

/** Adds the unpacked bytes of a request to the body, up to its end. */
function collect(request: IncomingMessage, coding: Coding, body: Body, maxBody: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = 0;
    const unpacking = coding === 'gzip' ? createGunzip() : coding === 'deflate' ? createInflate() : undefined;
    const fail = (error: Error): void => {
      request.removeListener('data', onSent);
      unpacking?.destroy();
      // What still comes is read and dropped, so that the client hears the answer.
      request.resume();
      reject(error);
    };
    const onUnpacked = (chunk: Buffer): void => {
      try {
        body.add(chunk);
      } catch (error) {
        fail(error as Error);
      }
    };
    const onSent = (chunk: Buffer): void => {
      sent += chunk.length;
      if (!unpacking) return onUnpacked(chunk);
      if (sent > maxBody) return fail(tooLarge('the packed body is larger', maxBody));
      if (unpacking.write(chunk)) return;
      request.pause();
      unpacking.once('drain', () => request.resume());
    };
    request.on('data', onSent);
    // The client leaves, or sends what is not HTTP.
    const cut = (): void => fail(new RequestError('REQUEST_INVALID', 'the body ends too early'));
    request.once('error', cut);
    request.once('close', () => {
      if (!request.complete) cut();
    });
    request.once('end', () => (unpacking ? unpacking.end() : resolve()));
    unpacking?.on('data', onUnpacked);
    unpacking?.once('error', (cause) => fail(corrupt(coding, cause)));
    unpacking?.once('end', () => {
      if (unpacking.bytesWritten === sent) resolve();
      else fail(corrupt(coding, new Error('bytes are left over behind its end')));
    });
  });
}

const tooLarge = (found: string, maxBody: number): RequestError =>
  new RequestError('TOO_LARGE', `${found}, and this server takes ${maxBody}`);

const corrupt = (coding: Coding, cause: Error): RequestError =>
  new RequestError('REQUEST_INVALID', `the body is not valid ${coding} data: ${cause.message}`, { cause });
