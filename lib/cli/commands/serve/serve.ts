/** `serve`: serves models over HTTP, with the Open Inference Protocol, until a signal ends it. */
import type { Command } from 'commander';
import {
  groupNormOption,
  limitOption,
  parseCount,
  parseIntegers,
  parsePort,
  parseTolerance,
  pointToHelp,
  providerOption,
} from '../../shared/options.js';
import type { Cli } from '../../shared/terminal.js';
import type { ServeOptions } from './process.js';

export function addServe(program: Command, cli: Cli): void {
  const command = program
    .command('serve')
    .summary('serve models over HTTP, to clients of Triton and KServe')
    .description(DESCRIPTION)
    .argument('<model>', 'ONNX file, folder of models, or repository in the layout of Triton')
    .option('--host <address>', 'address to listen on; 0.0.0.0 for all interfaces', '127.0.0.1')
    .option('--port <n>', 'port to listen on; 0 for a free one', parsePort, 8080)
    .option(
      '--model-name <name>',
      'name of the model, if there is one (default: the name of the file or folder)',
    )
    .option(
      '--max-batch-size <n>',
      'most samples of a run that joins several requests (default: a run for each request)',
      parseCount,
    )
    .option(
      '--max-queue-delay <ms>',
      'milliseconds that a request waits for others to join it (default: 0)',
      parseTolerance,
    )
    .option(
      '--preferred-batch-sizes <list>',
      'batch sizes that run fast, such as 4,8; a batch of such a size starts at once',
      parseIntegers,
    )
    .option('--max-queue-size <n>', 'requests that may wait; more get 503 (default: 1024)', parseCount)
    .option(
      '--queue-timeout <ms>',
      'milliseconds that a request may wait for its run; later it gets 503 (default: no limit)',
      parseTolerance,
    )
    .option('--instances <n>', 'runs of a model at once; they share the threads (default: 1)', parseCount)
    .option('--threads <n>', 'threads of a model (default: one per core)', parseCount)
    .addOption(providerOption())
    .addOption(groupNormOption())
    .option('--watch [seconds]', 'look for changed models, by default every 2 seconds', parseCount)
    .option('--token-file <file>', 'file with the bearer token that requests need (default: no token)')
    .option('--max-body <MiB>', 'largest body of a request, also when unpacked', parseCount, 64)
    .option('--max-connections <n>', 'connections at once', parseCount, 1024)
    .option(
      '--request-timeout <s>',
      'seconds that a client may take to send a request, and may pause while it reads the answer',
      parseCount,
      120,
    )
    .option('--drain-delay <s>', 'seconds to keep serving after SIGTERM, at most 10', parseTolerance, 5)
    .option('--json-logs', 'print logs as JSON, a line for each event, instead of text')
    .addOption(limitOption())
    .addHelpText('after', EXAMPLES)
    .action(async (model: string, options: ServeOptions) => {
      // The other commands need not wait for fastify to load.
      const { serve } = await import('./process.js');
      await serve(model, options, cli.io);
    });
  pointToHelp(command);
}

const DESCRIPTION =
  'Serves ONNX models over HTTP with the Open Inference Protocol (v2) and the extensions of Triton for binary tensors, statistics, ' +
  'the repository and Prometheus metrics (/metrics), so that tritonclient can use it. gRPC is left out on ' +
  'purpose: HTTP carries tensors as binary data too, and every proxy accepts it.\n\n' +
  'The model is a .onnx file; a folder with model.onnx or 1/model.onnx; or a folder of such files and folders. A config.pbtxt as ' +
  'Triton has it (max_batch_size, dynamic_batching, instance_group, parameters) overrides the options here. A model that ' +
  'cannot be loaded does not stop the others.\n\n' +
  'Signals: after SIGTERM the server keeps serving for --drain-delay while /v2/health/ready says 503. Then it answers the ' +
  'requests in progress, and exits with 0 within 15 seconds. Ctrl+C does the same without the delay. A second signal ends ' +
  'the server at once. SIGHUP makes it look for changed models. ' +
  'Without --host only this machine can reach the server. It speaks plain HTTP: leave TLS to a proxy in front of it.';

const EXAMPLES = `
Examples:
  $ npx onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 -o models/gn.onnx
  $ npx onnx-groupnorm serve models/gn.onnx
  $ npx onnx-groupnorm serve models/gn.onnx --max-batch-size 16 --max-queue-delay 2
  $ node -p "crypto.randomUUID()" > token.txt
  $ npx onnx-groupnorm serve models --host 0.0.0.0 --watch --token-file token.txt --json-logs

Ctrl+C ends it. In a second terminal, for the first of these servers: curl localhost:8080/v2/models/gn

docs/serving.md has the endpoints, the limits, Docker and Kubernetes.
Exit codes: 0 a signal ended it, and all requests are answered; 1 it failed; 2 bad usage, or no model
can be served.`;
