/** The options of a server, checked. */
import { OptionError } from '../../errors.js';
import { requireKnownOptions } from '../../options.js';
import type { ServedModel, ServingOptions } from '../models/served-model.js';
import type { IndexEntry } from '../models/model-repository.js';
import type { ServerLog } from './app.js';

/** What a server serves, and where. */
export interface ServerOptions {
  /** A model's file or folder, a folder of models, or a repository as Triton lays it out. */
  readonly model: string;
  /** The name of the model, where `model` holds exactly one. Default: the name of the file or folder. */
  readonly modelName?: string | undefined;
  /** How models are served where their `config.pbtxt` does not say: batches, queue, instances, threads, session. */
  readonly serving?: ServingOptions | undefined;
  /** The address to listen on. Default `127.0.0.1`, which other machines cannot reach; `0.0.0.0` for all interfaces. */
  readonly host?: string | undefined;
  /** The port. Default 8080; 0 for a free one. */
  readonly port?: number | undefined;
  /**
   * A token that requests must have in the header `Authorization: Bearer TOKEN`, but for those to `/v2/health`. Default: no
   * token.
   */
  readonly token?: string | undefined;
  /** Milliseconds between two looks for changed models. Default: the server looks only when `refresh` is called. */
  readonly watch?: number | undefined;
  /** The most bytes of the body of a request, packed and unpacked. Default 67,108,864. */
  readonly maxBody?: number | undefined;
  /** The most bytes of all bodies that the server holds at once; it answers 503 to more. Default 1,073,741,824. */
  readonly maxBodyMemory?: number | undefined;
  /** The most connections; more are closed at once. Default 1024. */
  readonly maxConnections?: number | undefined;
  /**
   * Milliseconds within which a request must have come as a whole, and for which a client may stop to read its answer. Default
   * 120,000.
   */
  readonly requestTimeout?: number | undefined;
  /** Gets what the server has to say of requests and failures, as a logger of pino does. Default: failures are not logged. */
  readonly log?: ServerLog | undefined;
  /** Called when a version of a model has another state; with the model if it takes requests. */
  readonly onState?: ((entry: IndexEntry, model: ServedModel | undefined) => void) | undefined;
}

const OPTIONS: readonly (keyof ServerOptions)[] = [
  'model',
  'modelName',
  'serving',
  'host',
  'port',
  'token',
  'watch',
  'maxBody',
  'maxBodyMemory',
  'maxConnections',
  'requestTimeout',
  'log',
  'onState',
];

const MIB = 2 ** 20;

const DEFAULTS = {
  host: '127.0.0.1',
  port: 8080,
  maxBody: 64 * MIB,
  maxBodyMemory: 1024 * MIB,
  maxConnections: 1024,
  requestTimeout: 120_000,
  log: { debug() {}, info() {}, warn() {}, error() {} } satisfies ServerLog as ServerLog,
};

/** The options of a server, with all defaults. */
export type CheckedServerOptions = Omit<ServerOptions, keyof typeof DEFAULTS> & typeof DEFAULTS;

/** The least and the greatest value of each number. Timers of Node take 32 bits. */
const RANGES = {
  port: [0, 65535],
  watch: [1, 2 ** 31 - 1],
  maxBody: [1, Number.MAX_SAFE_INTEGER],
  maxBodyMemory: [1, Number.MAX_SAFE_INTEGER],
  maxConnections: [1, Number.MAX_SAFE_INTEGER],
  requestTimeout: [1, 2 ** 31 - 1],
} as const satisfies Partial<Record<keyof ServerOptions, readonly [number, number]>>;

/** @throws OptionError. */
export function requireServerOptions(options: ServerOptions): CheckedServerOptions {
  requireKnownOptions('createServer', options, OPTIONS);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const checked = { ...DEFAULTS, ...Object.fromEntries(given) } as CheckedServerOptions;
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const value = checked[name as keyof typeof RANGES];
    if (value === undefined || (Number.isSafeInteger(value) && value >= least && value <= most)) continue;
    throw invalid(`${name} must be an integer from ${least} to ${most}, not ${String(value)}`);
  }
  if (typeof checked.model !== 'string') throw invalid('model must be the path of a model or a repository');
  const { token } = checked;
  // RFC 6750 has no other characters, and an empty token would protect nothing.
  if (token !== undefined && !/^[\w.~+/-]+=*$/.test(token)) {
    throw invalid('token must be of letters, digits and -._~+/, with = at its end only, and not empty');
  }
  return checked;
}

const invalid = (problem: string): OptionError =>
  new OptionError('INVALID_OPTION', `createServer: ${problem}`);
