import { fetchBytes } from './fetch-bytes.js';

/** A file of external data, which lies beside its model. */
export const fetchExternal = (folder: string, name: string): Promise<Uint8Array> =>
  fetchBytes(new URL(name, folder).href);
