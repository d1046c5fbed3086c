/** The JSON Schemas of docs/schemas, for what the command line prints. */
import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

const FOLDER = new URL('../../docs/schemas/', import.meta.url);
const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });
const compiled = new Map<string, ValidateFunction>();

/** Returns how JSON text differs from the schema of a name, as sentences. */
export function schemaErrors(name: string, text: string): string[] {
  const validate = compiled.get(name) ?? ajv.compile(readSchema(name));
  compiled.set(name, validate);
  if (validate(JSON.parse(text))) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

/** Reads a schema, such as `parity`. */
export const readSchema = (name: string): object =>
  JSON.parse(readFileSync(new URL(`${name}.schema.json`, FOLDER), 'utf8')) as object;
