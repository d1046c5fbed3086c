/** Bearer tokens (RFC 6750). */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ServerError } from '../../errors.js';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Returns a function that throws ServerError `UNAUTHORIZED` unless the header `Authorization` has the token. */
export function tokenCheck(token: string): (authorization: string | undefined) => void {
  const expected = digest(token);
  return (authorization = '') => {
    const given = /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? '';
    // Digests have one length, so that the time of the comparison tells neither the token nor its length.
    if (timingSafeEqual(digest(given), expected)) return;
    throw new ServerError('UNAUTHORIZED', 'the request needs the header Authorization: Bearer TOKEN');
  };
}
