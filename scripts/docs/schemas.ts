/**
 * Writes docs/schemas: a JSON Schema of what each command prints as JSON, made of the types in the source code.
 *
 *   npm run docs:schemas
 */
import { writeFile } from 'node:fs/promises';
import { makeSchemas } from './json-outputs.js';

const FOLDER = new URL('../../docs/schemas/', import.meta.url);

for (const [name, text] of await makeSchemas()) await writeFile(new URL(name, FOLDER), text);
