/** Files by URL. */
import { FileError } from '../../errors.js';

/** @throws FileError `FILE_NOT_FOUND`, `FILE_UNREADABLE`. */
export async function fetchBytes(url: string): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(url);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FileError('FILE_UNREADABLE', `cannot fetch '${url}': ${reason}`, { cause });
  }
  const code = [404, 410].includes(response.status) ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE';
  throw new FileError(code, `cannot fetch '${url}': the server answers ${response.status}`);
}
