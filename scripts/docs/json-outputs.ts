/** The JSON that commands print, and its schemas. */
import { fileURLToPath } from 'node:url';
import { format } from 'prettier';
import ts from 'typescript';
import { schemaOf } from './json-schema.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The schemas by name, each with the type of the output and what prints it. */
const OUTPUTS = {
  inspect: { file: 'lib/insight/inspect/types.ts', type: 'ModelInspection', of: 'inspect --json' },
  compare: { file: 'lib/cli/commands/compare.ts', type: 'CompareReport', of: 'compare --json' },
  parity: { file: 'lib/parity/report.ts', type: 'Report', of: 'parity --json' },
  doctor: { file: 'lib/cli/commands/doctor.ts', type: 'Diagnosis', of: 'doctor --json' },
  'serve-log': {
    file: 'lib/cli/commands/serve-process.ts',
    type: 'LogLine',
    of: 'a line of serve --json-logs',
  },
} as const;

/** Returns the text of every schema, by the name of its file in docs/schemas. */
export async function makeSchemas(): Promise<Map<string, string>> {
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.build.json`, (path) => ts.sys.readFile(path)) as {
    config: unknown;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const files = Object.values(OUTPUTS).map(({ file }) => `${ROOT}${file}`);
  const program = ts.createProgram(files, options);
  const texts = new Map<string, string>();
  for (const [name, { file, type, of }] of Object.entries(OUTPUTS)) {
    const schema = schemaOf(program, `${ROOT}${file}`, type, {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: `urn:onnx-groupnorm:schemas:${name}`,
      title: `onnx-groupnorm: ${of}`,
    });
    texts.set(
      `${name}.schema.json`,
      await format(JSON.stringify(schema), { parser: 'json', printWidth: 110 }),
    );
  }
  return texts;
}
