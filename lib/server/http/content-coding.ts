/** Packs answers as the header `Accept-Encoding` asks (RFC 9110, 12.5.3). */
import { promisify } from 'node:util';
import { constants, deflate, gzip } from 'node:zlib';

const PACK = { gzip: promisify(gzip), deflate: promisify(deflate) };

/** The codings of answers, the better one first where a client likes both as much. */
const CODINGS = ['gzip', 'deflate', 'identity'] as const;
/** A coding of answers. */
export type ContentCoding = (typeof CODINGS)[number];

/** What a coding weighs that the client does not name: plain bytes are acceptable, but less than what it asks for. */
const UNNAMED = { gzip: 0, deflate: 0, identity: 0.0001 };

/** Returns the coding that a client likes best. */
export function preferredCoding(acceptEncoding: string | undefined): ContentCoding {
  if (acceptEncoding === undefined) return 'identity';
  const weights = new Map(acceptEncoding.split(',').map(parseWeight));
  const weight = (coding: ContentCoding): number =>
    weights.get(coding) ?? weights.get(`x-${coding}`) ?? weights.get('*') ?? UNNAMED[coding];
  const best = CODINGS.reduce((one, other) => (weight(other) > weight(one) ? other : one));
  return weight(best) > 0 ? best : 'identity';
}

function parseWeight(item: string): [string, number] {
  const [coding = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
  const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  const weight = q === undefined ? 1 : Number(q);
  return [coding, weight >= 0 && weight <= 1 ? weight : 0];
}

/** Packs bytes, quickly rather than small: numbers hardly shrink. */
export const pack = async (bytes: Buffer, coding: ContentCoding): Promise<Buffer> =>
  coding === 'identity' ? bytes : PACK[coding](bytes, { level: constants.Z_BEST_SPEED });
