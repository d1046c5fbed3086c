/**
 * The messages that this library writes, with the fields that it writes. onnx-proto's own types need a global `Long`,
 * which a program that checks the declarations of its packages need not have: public declarations lead here instead.
 */

import type { StoredBytes } from '../../tensor.js';

/** A TensorProto. */
export interface TensorMessage {
  name: string;
  dims: number[];
  dataType: number;
  rawData?: Uint8Array;
  dataLocation?: number;
  externalData?: { key: string; value: string }[];
}

/** A NodeProto without attributes, of one of ONNX's own operators. */
export interface NodeMessage {
  name?: string;
  opType: string;
  input: string[];
  output: string[];
}

/** A ValueInfoProto of a tensor; without a type if a runtime infers it. */
export interface ValueInfoMessage {
  name: string;
  type?: {
    tensorType: { elemType: number; shape: { dim: { dimValue?: number; dimParam?: string }[] } };
  };
}

/** Bytes that are read when they are written. */
export interface DeferredBytes {
  readonly byteLength: number;
  readonly read: () => AsyncIterable<Uint8Array | StoredBytes>;
  /** The same bytes as a part of a file, if a file has them. */
  readonly stored?: StoredBytes | undefined;
}

/** A part of a file, in memory or not. */
export type Chunk = Uint8Array | DeferredBytes;
