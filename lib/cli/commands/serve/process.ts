/** The server of `serve`: what it serves and says, and how signals end it. */
import closeWithGrace from 'close-with-grace';
import { readFile } from 'node:fs/promises';
import { type DestinationStream, pino } from 'pino';
import { FileError, OptionError } from '../../../errors.js';
import { reasonOf } from '../../../files/system-error.js';
import type { Limits } from '../../../limits.js';
import type { SessionLoweringName } from '../../../lowering/types.js';
import type { GroupNormExecution, Provider } from '../../../runtime/core/contract.js';
import { printable } from '../../../printable.js';
import { requireProviders } from '../../../runtime/core/providers.js';
import {
  createServer,
  type ModelState,
  type Server,
  type ServerLog,
  type ServerOptions,
} from '../../../server/index.js';
import { findModels } from '../../../server/models/layout.js';
import { parseNames } from '../../shared/options.js';
import { type Io, print, UsageError } from '../../shared/terminal.js';
import { describeModel, describeStart, exampleRequest } from './report.js';

/** The options of the command line. */
export interface ServeOptions {
  readonly modelName?: string;
  readonly host: string;
  readonly port: number;
  readonly maxBatchSize?: number;
  readonly maxQueueDelay?: number;
  readonly preferredBatchSizes?: readonly number[];
  readonly maxQueueSize?: number;
  readonly queueTimeout?: number;
  readonly instances?: number;
  readonly threads?: number;
  readonly provider: string;
  readonly groupNorm?: SessionLoweringName;
  readonly limit?: Partial<Limits>;
  readonly watch?: true | number;
  readonly tokenFile?: string;
  readonly maxBody: number;
  readonly maxConnections: number;
  readonly requestTimeout: number;
  readonly drainDelay: number;
  readonly jsonLogs?: boolean;
}

const MIB = 2 ** 20;
/** Seconds between two looks with `--watch` alone. */
const WATCH_SECONDS = 2;
/** Milliseconds of `--drain-delay`, the requests in progress and the end of the models: below 15 seconds together. */
const LONGEST_END = 13_000;
const LONGEST_DRAIN_DELAY = 10;

/** Serves the models of a path until a signal ends the process. */
export async function serve(path: string, options: ServeOptions, io: Io): Promise<void> {
  if (options.drainDelay > LONGEST_DRAIN_DELAY) {
    throw new UsageError(
      `--drain-delay takes up to ${LONGEST_DRAIN_DELAY} seconds, not ${options.drainDelay}`,
    );
  }
  // A path without a model is the first to be reported, before a port that is in use.
  await findModels(path, options.modelName);
  const voice = options.jsonLogs ? jsonVoice(io) : textVoice(io);
  const server = makeServer(path, options, await readToken(options.tokenFile), voice);
  const ending = endAtSignals(server, options.drainDelay * 1000, voice);
  const rereading = (): void => {
    voice.log.info({}, 'SIGHUP: reading the models again');
    server.models
      .refresh()
      .catch((error: unknown) => voice.log.error({ err: error }, 'the models cannot be read'));
  };
  process.on('SIGHUP', rereading);
  try {
    voice.started(path, await server.listen());
    await server.loaded();
    requireModels(server, options.watch !== undefined);
  } catch (error) {
    voice.isEnding = true;
    ending.uninstall();
    process.removeListener('SIGHUP', rereading);
    await server.close();
    throw error;
  }
  // A signal ends the process.
  await new Promise(() => undefined);
}

function makeServer(path: string, options: ServeOptions, token: string | undefined, voice: Voice): Server {
  const { maxBatchSize, maxQueueDelay, preferredBatchSizes, maxQueueSize, queueTimeout } = options;
  const { instances, threads, watch } = options;
  const given: ServerOptions = {
    model: path,
    modelName: options.modelName,
    host: options.host,
    port: options.port,
    token,
    serving: {
      maxBatchSize,
      maxQueueDelay,
      preferredBatchSizes,
      maxQueueSize,
      queueTimeout,
      instances,
      threads,
      session: {
        providers: requireProviders(parseNames(options.provider)),
        groupNorm: options.groupNorm,
        limits: options.limit,
      },
    },
    watch: watch === undefined ? undefined : (watch === true ? WATCH_SECONDS : watch) * 1000,
    maxBody: options.maxBody * MIB,
    maxConnections: options.maxConnections,
    requestTimeout: options.requestTimeout * 1000,
    log: voice.log,
    onState: (...change) => voice.onState(...change),
  };
  try {
    return createServer(given);
  } catch (cause) {
    if (cause instanceof OptionError) throw new UsageError(cause.message, { cause });
    throw cause;
  }
}

/** A server without a model has no use, unless it looks for models again. The server has said why it serves none of them. */
function requireModels({ models }: Server, isWatching: boolean): void {
  if (isWatching || models.index().some(({ state }) => state === 'READY')) return;
  throw new UsageError('no model can be served: the lines above say why');
}

async function readToken(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  let token: string;
  try {
    token = (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new FileError(
      'FILE_UNREADABLE',
      `cannot read '${path}', the file of --token-file: ${reasonOf(cause)}`,
      {
        cause,
      },
    );
  }
  if (token === '') throw new UsageError(`'${printable(path)}', the file of --token-file, holds no token`);
  return token;
}

/**
 * Ends the server and the process at a signal, with exit code 0. After SIGTERM, which orchestrators send, it serves for a while
 * longer, because load balancers go on to send requests; Ctrl+C ends it when the requests in progress have ended. A second
 * signal ends the process at once.
 */
function endAtSignals(server: Server, drainDelay: number, voice: Voice): { uninstall(): void } {
  const { log } = voice;
  const logger = { error: (what: unknown) => log.error({ err: what }, String(what)) };
  return closeWithGrace({ delay: LONGEST_END + 1000, logger, skip: ['SIGHUP'] }, async ({ signal, err }) => {
    voice.isEnding = true;
    if (err) log.error({ err }, 'the server failed, and ends');
    else log.info({ signal }, `${signal}: the server ends when its requests are answered`);
    const delay = signal === 'SIGTERM' ? drainDelay : 0;
    await server.close({ delay, timeout: LONGEST_END - delay });
    log.info({}, 'the server has ended');
  });
}

/** What `serve` says, as text for people or as JSON for machines. */
interface Voice {
  /** Whether the server is about to end, and so its models. */
  isEnding: boolean;
  readonly log: ServerLog;
  readonly started: (path: string, url: string) => void;
  onState(...change: Parameters<NonNullable<ServerOptions['onState']>>): void;
}

/**
 * A line that `serve --json-logs` prints. `msg` tells the event: `listening` has `path` and `url`; `model` the fields of a model
 * whose state has changed; errors have `err`.
 */
export interface LogLine {
  /** 30 for information, 40 for a warning, 50 for an error. */
  readonly level: 30 | 40 | 50;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** The process. */
  readonly pid: number;
  /** The event, for people. */
  readonly msg: string;
  /** The file or folder that is served. */
  readonly path?: string;
  /** The address of the server. */
  readonly url?: string;
  /** The name of the model. */
  readonly name?: string;
  /** The version of the model, a number as text. */
  readonly version?: string;
  /** The new state of the model. */
  readonly state?: ModelState;
  /** Why the model is unavailable, or why its files are newer than what is served; else empty. */
  readonly reason?: string;
  /** The execution provider that runs the model. */
  readonly provider?: Provider;
  /** How GroupNormalization runs; absent if the model does not have it. */
  readonly groupNorm?: GroupNormExecution;
  /** The samples of a run, up to which requests are joined; absent if they are not joined. */
  readonly maxBatchSize?: number;
  /** The signal that ends the server. */
  readonly signal?: string;
  /** The error: its `type`, `message` and `stack`, and its `code` if it has one. */
  readonly err?: Readonly<Record<string, unknown>>;
  /** The request that failed: its header `x-request-id`, or an id that the server made. */
  readonly reqId?: string;
}

function jsonVoice({ stdout }: Io): Voice {
  const log = pino({ base: { pid: process.pid } }, stdout as DestinationStream);
  return {
    isEnding: false,
    log,
    started: (path, url) => log.info({ path, url }, 'listening'),
    onState(entry, model) {
      const level = entry.state === 'UNAVAILABLE' ? 'warn' : 'info';
      const facts = model && {
        provider: model.provider,
        groupNorm: model.groupNorm,
        maxBatchSize: model.maxBatchSize,
      };
      log[level]({ ...entry, ...facts }, 'model');
    },
  };
}

function textVoice({ stdout, stderr }: Io): Voice {
  let url = '';
  let hasExample = false;
  const write = (output: typeof stdout) => (fields: object, message: string) => {
    const { err } = fields as { err?: unknown };
    print(output, err instanceof Error ? `${message}: ${err.message}` : message);
  };
  return {
    isEnding: false,
    log: { debug() {}, info: write(stdout), warn: write(stderr), error: write(stderr) },
    started(path, address) {
      url = address;
      print(stdout, ...describeStart(path, url));
    },
    onState({ name, version, state, reason }, model) {
      if (state === 'UNAVAILABLE' && !this.isEnding)
        print(stderr, `model '${name}', version ${version}, is not served: ${reason}`);
      if (!model || state !== 'READY') return;
      print(stdout, '', ...describeModel(model));
      if (!hasExample) print(stdout, '', 'Try it:', `  ${exampleRequest(url, model)}`);
      hasExample = true;
    },
  };
}
