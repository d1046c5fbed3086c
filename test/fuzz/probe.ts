/**
 * Calls the library on one case and writes down what must not be: an error without a code, memory and time out of
 * proportion, and whatever else a format checks.
 */
import { UsageError } from '../../lib/cli/shared/terminal.js';
import { OnnxGroupNormError } from '../../lib/errors.js';
import { peakMemory, resetPeak } from '../support/peak-memory.js';

/**
 * What a case can show: the process ends, or does not end; an error without a code, or of another code than the format
 * has; a rejection without a handler; memory or time out of proportion; a file read or left; a wrong result.
 */
export const FINDING_KINDS = [
  'crash',
  'hang',
  'untyped',
  'unhandled',
  'memory',
  'time',
  'file',
  'wrong',
] as const;

export interface Finding {
  /** `crash` and `hang` are found by the process that starts the child. */
  readonly kind: (typeof FINDING_KINDS)[number];
  /** The function of the library: `convertModel`. */
  readonly way: string;
  readonly what: string;
}

/** The rule for reading a file: bytes of memory, and seconds of processor time, that do not depend on the file. */
export const MEMORY = { base: 64 * 2 ** 20, perByte: 8 };
export const TIME = { base: 2, perByte: 1 / 2 ** 20 };

const ALL_CALLS = 'all calls';

/** What a call does: reads a file, loads a model in ONNX Runtime, or runs it, which computes what the model says. */
type CallKind = 'read' | 'load' | 'run';

export class Probe {
  readonly findings: Finding[] = [];
  /** Calls that returned, and calls that threw an error with a code. */
  readonly counts = { accepted: 0, refused: 0 };
  /** The most memory that was taken beyond what the process had before. */
  peak = 0;
  readonly #fileSize: number;
  readonly #enter: (way: string) => void;
  readonly #isAlone: boolean;
  readonly #codes: readonly string[] | undefined;
  #start: { readonly memory: number; readonly time: NodeJS.CpuUsage } | undefined;

  /**
   * @param enter Is told the name of a call before it starts.
   * @param isAlone Whether the case runs alone: each call is told and measured by itself, after a garbage collection. Otherwise
   *   calls are told if they leave JavaScript, and all calls but runs are measured together, because that takes time.
   * @param codes The codes that errors may have. Default: any.
   */
  constructor(fileSize: number, enter: (way: string) => void, isAlone: boolean, codes?: readonly string[]) {
    this.#codes = codes;
    this.#fileSize = fileSize;
    this.#enter = enter;
    this.#isAlone = isAlone;
  }

  /** Makes one call. Returns `undefined` if it throws. */
  async call<T>(way: string, action: () => T | Promise<T>, kind: CallKind = 'read'): Promise<T | undefined> {
    if (this.#isAlone || kind !== 'read') this.#enter(way);
    if (this.#isAlone) globalThis.gc?.();
    if (kind === 'run') this.measure();
    else this.#start ??= { memory: resetPeak(), time: process.cpuUsage() };
    try {
      const result = await action();
      this.counts.accepted++;
      return result;
    } catch (error) {
      if (isTyped(error, this.#codes)) this.counts.refused++;
      else
        this.report('untyped', way, error instanceof Error ? (error.stack ?? String(error)) : String(error));
      return undefined;
    } finally {
      if (this.#isAlone) this.measure(way);
    }
  }

  /** Reports memory and time out of proportion since the last measurement. Runs do not count. */
  measure(way = ALL_CALLS): void {
    if (!this.#start) return;
    const { memory, time } = this.#start;
    this.#start = undefined;
    const growth = Math.max(0, peakMemory() - memory);
    this.peak = Math.max(this.peak, growth);
    const allowed = MEMORY.base + MEMORY.perByte * this.#fileSize;
    if (growth > allowed) this.report('memory', way, `${mib(growth)} for ${this.#fileSize} bytes`);
    const { user, system } = process.cpuUsage(time);
    const seconds = (user + system) / 1e6;
    if (seconds > TIME.base + TIME.perByte * this.#fileSize) {
      this.report('time', way, `${seconds.toFixed(1)} s for ${this.#fileSize} bytes`);
    }
  }

  report(kind: Finding['kind'], way: string, what: string): void {
    this.findings.push({ kind, way, what: what.slice(0, 1500) });
  }

  /** Reports a wrong result unless `condition` holds. */
  require(condition: boolean, way: string, what: string): void {
    if (!condition) this.report('wrong', way, what);
  }
}

/** Whether an error is of this library, with a code. The command line has an error of its own, for bad usage. */
function isTyped(error: unknown, codes?: readonly string[]): boolean {
  if (error instanceof UsageError) return true;
  return error instanceof OnnxGroupNormError && (codes?.includes(error.code) ?? /^[A-Z_]+$/.test(error.code));
}

export const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
