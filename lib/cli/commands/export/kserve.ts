/** `export-kserve`: writes the files that serve a model repository on KServe. */
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { kserveFiles } from '../../../deploy/kserve.js';
import { writeFilesAtomic } from '../../../files/atomic.js';
import { type Limits, requireLimits } from '../../../limits.js';
import { Model } from '../../../onnx/model.js';
import { readModelFile } from '../../../onnx/write.js';
import { printable } from '../../../printable.js';
import { formatBytes } from '../../../quantities.js';
import { limitOption, pointToHelp, RequiredOption, requireOptions } from '../../shared/options.js';
import { refuseOverwritingInputs } from '../../shared/output-files.js';
import { type Cli, packageInfo, print } from '../../shared/terminal.js';
import { nameOf } from './triton.js';

interface ExportKServeOptions {
  readonly output: string;
  readonly storageUri: string;
  readonly name?: string;
  readonly image?: string;
  readonly limit?: Partial<Limits>;
}

export function addExportKServe(program: Command, cli: Cli): void {
  const command = program
    .command('export-kserve')
    .summary('write the YAML and the Dockerfile that serve a model on KServe')
    .description(DESCRIPTION)
    .usage('MODEL -o FOLDER --storage-uri URI [options]')
    .argument('<model>', 'ONNX file that is served')
    .addOption(new RequiredOption('-o, --output <folder>', 'folder to write the files to'))
    .addOption(
      new RequiredOption(
        '--storage-uri <uri>',
        'where KServe fetches the model repository that export-triton wrote: s3://bucket/models, pvc://claim/models',
      ).argParser(parseUri),
    )
    .addOption(
      new Option(
        '--name <name>',
        'name of the InferenceService: lower-case letters, digits and - (default: that of the file)',
      ).argParser(parseServiceName),
    )
    .option(
      '--image <image>',
      'container image that the Dockerfile builds (default: onnx-groupnorm-server:VERSION)',
    )
    .addOption(limitOption())
    .addHelpText('after', EXAMPLES)
    .action((model: string, options: ExportKServeOptions) => {
      requireOptions(command);
      return exportKServe(model, options, cli);
    });
  pointToHelp(command);
}

/** With `-triton` behind it the name must still be a label of DNS, of at most 63 characters. */
function parseServiceName(text: string): string {
  if (/^[a-z]([a-z0-9-]{0,54}[a-z0-9])?$/.test(text)) return text;
  throw new InvalidArgumentError(
    'It must begin with a lower-case letter, end with a letter or digit, and have at most 56 lower-case letters, digits and - in it.',
  );
}

function parseUri(text: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\/[^\s\p{Cc}]+$/u.test(text)) return text;
  throw new InvalidArgumentError(
    'It must be a URI that KServe fetches, such as s3://bucket/models or pvc://claim/models.',
  );
}

const serviceNameOf = (path: string): string =>
  nameOf(path)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 56)
    .replace(/-+$/, '') || 'model';

/** Bytes for Node and ONNX Runtime themselves. */
const BASE_MEMORY = 2 ** 29;
/** Weights are held once, once more while ONNX Runtime rearranges them, and activations come on top. */
const MEMORY_PER_WEIGHT = 4;

async function exportKServe(path: string, options: ExportKServeOptions, { io }: Cli): Promise<void> {
  const { output: folder, storageUri, name = serviceNameOf(path), limit } = options;
  const bytes = await readModelFile(path);
  const model = Model.decode(bytes, path, requireLimits('export-kserve', limit));
  const external = [...model.externalFiles.values()].reduce((sum, { size }) => sum + size, 0);
  const memory = BASE_MEMORY + MEMORY_PER_WEIGHT * (bytes.byteLength + external);
  const { version } = packageInfo();
  const { image = `onnx-groupnorm-server:${version}` } = options;
  const files = [...kserveFiles({ name, storageUri, image, version, memory })].map(([file, content]) => ({
    path: join(folder, file),
    content,
  }));
  await refuseOverwritingInputs(
    files.map(({ path: file }) => ['-o', file] as const),
    [['the model', path]],
  );
  await writeFilesAtomic(files);
  const file = (name: string): string => join(folder, name);
  print(
    io.stdout,
    ...[
      `Wrote ${files.map(({ path: file }) => file).join(', ')}`,
      `Each container asks for ${formatBytes(memory)} of memory: 4 × the model and 512 MiB; measure, and change it`,
      '',
      `Copy the repository that export-triton wrote to ${storageUri}, then either`,
      `  kubectl apply -f ${file('triton.yaml')}      on the Triton that KServe brings, or`,
      `  docker build -t ${image} ${folder} && docker push ${image}`,
      `  kubectl apply -f ${file('runtime.yaml')} -f ${file('service.yaml')}      on the server of this package`,
    ].map(printable),
  );
}

const DESCRIPTION =
  'Writes the files that KServe needs to serve a model, for either of two servers. For Triton: triton.yaml, an ' +
  'InferenceService. For the server of this package: runtime.yaml (a ServingRuntime), service.yaml (an InferenceService) ' +
  'and the Dockerfile of its image. Both servers fetch the same model repository: export-triton writes it, and you copy it ' +
  'to --storage-uri.';

const EXAMPLES = `
Examples:
  $ npx onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 -o gn.onnx
  $ npx onnx-groupnorm export-triton gn.onnx -o repository
  $ npx onnx-groupnorm export-kserve gn.onnx -o kserve --storage-uri s3://bucket/repository

Exit codes: 0 written; 2 bad usage or bad input, and nothing is written.`;
