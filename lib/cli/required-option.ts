import { Option, type Command } from 'commander';
import { UsageError } from './usage-error.js';

/**
 * An option that must be given. Commander's own mandatory options are looked at before unknown ones, so that a
 * mistyped option would be reported as a missing one.
 */
export class RequiredOption extends Option {
  constructor(flags: string, description: string) {
    super(flags, `${description} (required)`);
  }
}

/** @throws UsageError that lists every required option that was not given. */
export function requireOptions(command: Command): void {
  const missing = command.options.filter(
    (option) =>
      option instanceof RequiredOption && command.getOptionValue(option.attributeName()) === undefined,
  );
  if (missing.length === 0) return;
  const flags = missing.map(({ flags }) => flags).join(', ');
  throw new UsageError(`required: ${flags}; '${commandPath(command)} --help' explains them`);
}

const commandPath = (command: Command): string =>
  command.parent ? `${commandPath(command.parent)} ${command.name()}` : command.name();
