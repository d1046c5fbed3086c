/** The error for an option of a configuration; a module of its own, so that networks can make it too. */
import { CheckpointError } from '../lib/errors.js';

/**
 * Makes the error for a value of a configuration for which there is no graph.
 * @param supported The values that are supported: `silu, relu`.
 */
export const unsupportedOption = (
  className: string,
  key: string,
  value: unknown,
  supported: string,
): CheckpointError =>
  new CheckpointError(
    'UNSUPPORTED_OPTION',
    `the configuration of ${className} has ${key} ${JSON.stringify(value)}, which is not supported; supported: ${supported}`,
  );
