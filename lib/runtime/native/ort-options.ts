/** Session options of ONNX Runtime's own interface, for the native backend. */
import type { InferenceSession } from 'onnxruntime-common';
import { isUint8Array } from '../../arrays.js';
import { OptionError } from '../../errors.js';
import type { BackendOptions } from '../core/contract.js';
import type { NativeOptions } from './backend.js';

type OrtOptions = InferenceSession.SessionOptions;

/** What sessions of this project have, too; `enableProfiling` is a prefix's absence or presence. */
export function toBackendOptions(options: OrtOptions): BackendOptions {
  const { intraOpNumThreads, enableCpuMemArena, enableProfiling, profileFilePrefix } = options;
  const level = options.graphOptimizationLevel;
  return {
    // ONNX Runtime's own 0 is its default.
    intraOpNumThreads: intraOpNumThreads || undefined,
    enableCpuMemArena,
    graphOptimizationLevel: level === 'layout' ? 'all' : level,
    profileFilePrefix: enableProfiling ? (profileFilePrefix ?? 'onnxruntime_profile_') : undefined,
  };
}

const EXECUTION_MODES = ['sequential', 'parallel'] as const;

/**
 * The others. `logId` and `logVerbosityLevel` only colour what is logged, and do nothing here, nor does what is for
 * other devices: `preferredOutputLocation`, `enableGraphCapture`. onnxruntime-node ignores `freeDimensionOverrides`.
 * @throws OptionError `INVALID_OPTION` for a value of the wrong type.
 */
export function toNativeOptions(options: OrtOptions): NativeOptions {
  const { interOpNumThreads = 0, executionMode = 'sequential', enableMemPattern = true } = options;
  const { logSeverityLevel = 4, optimizedModelFilePath = '' } = options;
  const { extra = {}, externalData = [] } = options;
  for (const name of ['intraOpNumThreads', 'interOpNumThreads'] as const)
    ensure(isInt32(options[name] ?? 0), `${name} must be an integer of at least 0`);
  for (const name of ['enableCpuMemArena', 'enableMemPattern', 'enableProfiling'] as const)
    ensure(typeof (options[name] ?? true) === 'boolean', `${name} must be true or false`);
  ensure(EXECUTION_MODES.includes(executionMode), `executionMode must be ${EXECUTION_MODES.join(' or ')}`);
  ensure([0, 1, 2, 3, 4].includes(logSeverityLevel), 'logSeverityLevel must be 0, 1, 2, 3 or 4');
  const isPath = typeof optimizedModelFilePath === 'string' && !optimizedModelFilePath.includes('\0');
  ensure(isPath, 'optimizedModelFilePath must be a path');
  ensure(isObject(extra), "extra must be an object of ONNX Runtime's configuration entries");
  return {
    interOpNumThreads,
    executionMode: EXECUTION_MODES.indexOf(executionMode),
    enableMemPattern,
    logSeverityLevel,
    optimizedModelPath: optimizedModelFilePath,
    config: Object.fromEntries(configEntries(extra)),
    ...(hasEntries(externalData) && { externalFiles: Object.fromEntries(externalData.map(fileEntry)) }),
  };
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isInt32 = (value: unknown): boolean => isCount(value) && (value as number) < 2 ** 31;
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;

type ExternalData = NonNullable<OrtOptions['externalData']>;

function hasEntries(list: ExternalData): boolean {
  ensure(Array.isArray(list), 'externalData must be a list of { path, data }');
  return list.length > 0;
}

/** onnxruntime-node takes the same: a path as the model has it, and bytes. */
function fileEntry(file: ExternalData[number]): [path: string, data: Uint8Array] {
  const { path, data } = Object(file) as { path?: unknown; data?: unknown };
  const isFile = typeof path === 'string' && isUint8Array(data);
  ensure(
    isFile,
    'externalData must be a list of { path, data } with a path as in the model and a Uint8Array',
  );
  return [path, data];
}

/** Deeper than any entry of ONNX Runtime's; what contains itself has no depth. */
const MAX_DEPTH = 8;

/** `{ session: { disable_prepacking: '1' } }` is the entry `session.disable_prepacking`. */
function configEntries(extra: object, prefix = '', depth = 0): [key: string, value: string][] {
  ensure(depth < MAX_DEPTH, `extra: ${prefix} is nested too deep`);
  return Object.entries(extra).flatMap(([name, value]: [string, unknown]) => {
    const key = prefix + name;
    if (typeof value === 'object' && value !== null) return configEntries(value, `${key}.`, depth + 1);
    ensure(
      ['string', 'number', 'boolean'].includes(typeof value),
      `extra: ${key} must be a string, a number or a boolean`,
    );
    return [[key, typeof value === 'boolean' ? String(Number(value)) : String(value)]];
  });
}

function ensure(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new OptionError('INVALID_OPTION', `native-cpu: ${problem}`);
}
