/** Session options of ONNX Runtime's own interface, for the native backend. */
import type { InferenceSession } from 'onnxruntime-common';
import { OptionError } from '../../errors.js';
import type { BackendOptions } from '../backend.js';
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
 * other devices: `preferredOutputLocation`, `enableGraphCapture`.
 * @throws OptionError `INVALID_OPTION` for what is none, and for `externalData`.
 */
export function toNativeOptions(options: OrtOptions): NativeOptions {
  const { interOpNumThreads = 0, executionMode = 'sequential', enableMemPattern = true } = options;
  const { logSeverityLevel = 4, optimizedModelFilePath = '', freeDimensionOverrides = {}, extra } = options;
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const hasExternalData = (options.externalData?.length ?? 0) > 0;
  ensure(!hasExternalData, 'externalData is not read: give the path of the model, with its data beside it');
  ensure(isCount(interOpNumThreads), 'interOpNumThreads must be an integer of at least 0');
  ensure(EXECUTION_MODES.includes(executionMode), `executionMode must be ${EXECUTION_MODES.join(' or ')}`);
  ensure([0, 1, 2, 3, 4].includes(logSeverityLevel), 'logSeverityLevel must be 0, 1, 2, 3 or 4');
  ensure(typeof optimizedModelFilePath === 'string', 'optimizedModelFilePath must be a path');
  const sizes = Object.values(freeDimensionOverrides);
  ensure(sizes.every(isCount), 'freeDimensionOverrides must be sizes, integers of at least 0');
  return {
    interOpNumThreads,
    executionMode: EXECUTION_MODES.indexOf(executionMode),
    enableMemPattern: Boolean(enableMemPattern),
    logSeverityLevel,
    optimizedModelPath: optimizedModelFilePath,
    freeDimensions: freeDimensionOverrides,
    config: Object.fromEntries(configEntries(extra ?? {})),
  };
}

/** `{ session: { disable_prepacking: '1' } }` is the entry `session.disable_prepacking`. */
function configEntries(extra: object, prefix = ''): [key: string, value: string][] {
  return Object.entries(extra).flatMap(([name, value]: [string, unknown]) => {
    const key = prefix + name;
    if (typeof value === 'object' && value !== null) return configEntries(value, `${key}.`);
    ensure(['string', 'number', 'boolean'].includes(typeof value), `extra: ${key} must be a string`);
    return [[key, typeof value === 'boolean' ? String(Number(value)) : String(value)]];
  });
}

function ensure(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new OptionError('INVALID_OPTION', `native-cpu: ${problem}`);
}
