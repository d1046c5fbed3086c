/** Reads a model's `config.pbtxt`, Triton's configuration, as far as this server has what it asks for. */
import { ServerError } from '../../errors.js';
import { unreadable } from '../../files/ranged.js';
import { readFileBytes } from '../../files/read.js';
import { formatBytes } from '../../quantities.js';
import type { BackendOptions } from '../../runtime/core/contract.js';
import { MODEL_FILE, type FoundVersion } from './layout.js';
import type { ServingOptions } from './served-model.js';
import { type Message, readTextFormat } from './text-format.js';

/** What the configuration of a model says. */
export interface ModelConfig {
  /** The name of the model's file in the folder of a version. */
  readonly fileName: string;
  /** The options that the configuration gives; those of the server hold for all others. */
  readonly serving: ServingOptions;
  /** Returns the versions to serve, out of all that are there, the newest first. */
  readonly choose: (versions: readonly FoundVersion[]) => readonly FoundVersion[];
}

/** The newest version, under the server's options. */
export const DEFAULT_CONFIG: ModelConfig = {
  fileName: MODEL_FILE,
  serving: {},
  choose: (versions) => versions.slice(0, 1),
};

const MAX_BYTES = 2 ** 20;

/**
 * Reads a configuration.
 * @throws FileError; ServerError `CONFIG_INVALID` with the line that is wrong or asks for what this server does not do.
 */
export async function readModelConfig(path: string): Promise<ModelConfig> {
  const bytes = await readFileBytes(path, ({ size }) => {
    if (size > MAX_BYTES)
      throw unreadable(path, `it has ${formatBytes(size)}, and a configuration at most 1 MB`);
  });
  return parseModelConfig(new TextDecoder().decode(bytes), path);
}

/** Reads the text of a configuration. */
export function parseModelConfig(text: string, where: string): ModelConfig {
  const config = readTextFormat(text, where).allow(FIELDS);
  const refuse = (problem: string): never => {
    throw new ServerError('CONFIG_INVALID', `${where}: ${problem}`);
  };
  for (const [field, allowed] of [
    ['platform', 'onnxruntime_onnx'],
    ['backend', 'onnxruntime'],
  ] as const) {
    const given = config.text(field);
    if (given !== undefined && given !== '' && given !== allowed)
      refuse(`${field} is '${given}', and this server runs '${allowed}' alone`);
  }
  for (const field of NOT_SERVED) if (config.has(field)) refuse(`this server does not do ${field}`);
  const fileName = config.text('default_model_filename') || MODEL_FILE;
  if (/[/\\]/.test(fileName)) refuse(`default_model_filename '${fileName}' must be a name, not a path`);
  return { fileName, serving: servingOptions(config), choose: versionChoice(config) };
}

function servingOptions(config: Message): ServingOptions {
  const maxBatchSize = config.integer('max_batch_size');
  const batching = config.message('dynamic_batching')?.allow(BATCHING_FIELDS);
  const instances = instanceCount(config);
  // Without dynamic_batching, requests have up to max_batch_size samples and are not joined.
  const limited = {
    maxBatchSize: maxBatchSize || undefined,
    preferredBatchSizes: maxBatchSize ? [1] : undefined,
  };
  return {
    ...(maxBatchSize !== undefined && limited),
    ...(batching && batchingOptions(batching)),
    ...(instances !== undefined && { instances }),
    session: sessionOptions(config),
  };
}

function batchingOptions(batching: Message): ServingOptions {
  const preferred = batching.integers('preferred_batch_size');
  const policy = batching.message('default_queue_policy')?.allow(POLICY_FIELDS);
  const timeout = policy?.integer('default_timeout_microseconds') ?? 0;
  // Triton runs a request that is late after all others then; here it keeps its place.
  const isRejected = policy?.word('timeout_action') !== 'DELAY';
  const queueSize = policy?.integer('max_queue_size') ?? 0;
  return {
    preferredBatchSizes: preferred.length > 0 ? preferred : undefined,
    maxQueueDelay: (batching.integer('max_queue_delay_microseconds') ?? 0) / 1000,
    ...(timeout > 0 && isRejected && { queueTimeout: timeout / 1000 }),
    ...(queueSize > 0 && { maxQueueSize: queueSize }),
    allowRequestTimeout: policy === undefined || policy.flag('allow_timeout_override') === true,
  };
}

/** The instances of all groups together: which device runs the model, the server's options say. */
function instanceCount(config: Message): number | undefined {
  const groups = config.messages('instance_group').map((group) => group.allow(GROUP_FIELDS));
  const counts = groups.map((group) => group.integer('count') || 1);
  return counts.length === 0 ? undefined : counts.reduce((a, b) => a + b);
}

/** ONNX Runtime's options, by the numbers that Triton has for them. */
const LEVELS = new Map([
  [-1, 'basic'],
  [0, 'all'],
  [1, 'extended'],
  [2, 'disabled'],
] as const);
const EXECUTION_MODES = new Map([
  [0, 'sequential'],
  [1, 'parallel'],
] as const);

function sessionOptions(config: Message): BackendOptions {
  const level = config.message('optimization')?.message('graph')?.integer('level');
  const parameters = new Map(
    config.messages('parameters').map((entry) => [entry.text('key'), entry.message('value')] as const),
  );
  const number = (name: string): number | undefined => {
    const text = parameters.get(name)?.text('string_value');
    if (text === undefined || /^-?\d+$/.test(text)) return text === undefined ? undefined : Number(text);
    throw new ServerError(
      'CONFIG_INVALID',
      `${config.where}: the parameter '${name}' is '${text}', not a number`,
    );
  };
  const chosen = <Choice>(name: string, value: number | undefined, choices: ReadonlyMap<number, Choice>) => {
    if (value === undefined || choices.has(value))
      return value === undefined ? undefined : choices.get(value);
    const known = [...choices.keys()].join(', ');
    throw new ServerError('CONFIG_INVALID', `${config.where}: ${name} is ${value}; known: ${known}`);
  };
  const arena = number('enable_mem_arena');
  const options: BackendOptions = {
    graphOptimizationLevel: chosen('the graph optimization level', level, LEVELS),
    executionMode: chosen('execution_mode', number('execution_mode'), EXECUTION_MODES),
    // At 0, the number is ONNX Runtime's to choose.
    intraOpNumThreads: number('intra_op_thread_count') || undefined,
    interOpNumThreads: number('inter_op_thread_count') || undefined,
    enableCpuMemArena: arena === undefined ? undefined : arena !== 0,
  };
  // An option that is absent leaves the server's option.
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function versionChoice(config: Message): ModelConfig['choose'] {
  const policy = config.message('version_policy')?.allow(['latest', 'all', 'specific']);
  if (policy?.has('all')) return (versions) => versions;
  const specific = policy?.message('specific')?.integers('versions').map(String);
  if (specific) return (versions) => versions.filter(({ version }) => specific.includes(version));
  const count = policy?.message('latest')?.integer('num_versions') || 1;
  return (versions) => versions.slice(0, count);
}

/** Other kinds of models, which Triton puts together itself. */
const NOT_SERVED = ['ensemble_scheduling', 'sequence_batching', 'batch_input', 'batch_output'];
/** The fields of Triton's ModelConfig. Source: model_config.proto of triton-inference-server/common. */
const FIELDS = [
  ...NOT_SERVED,
  ...['name', 'platform', 'backend', 'runtime', 'version_policy', 'max_batch_size', 'input', 'output'],
  ...['optimization', 'dynamic_batching', 'instance_group', 'default_model_filename', 'cc_model_filenames'],
  ...['metric_tags', 'parameters', 'model_warmup', 'model_operations', 'model_transaction_policy'],
  ...['model_repository_agents', 'response_cache', 'model_metrics'],
];
const BATCHING_FIELDS = [
  ...['preferred_batch_size', 'max_queue_delay_microseconds', 'preserve_ordering', 'priority_levels'],
  ...['default_priority_level', 'default_queue_policy', 'priority_queue_policy'],
];
const POLICY_FIELDS = [
  ...['timeout_action', 'default_timeout_microseconds', 'allow_timeout_override', 'max_queue_size'],
];
const GROUP_FIELDS = [
  ...[
    'name',
    'kind',
    'count',
    'rate_limiter',
    'gpus',
    'secondary_devices',
    'profile',
    'passive',
    'host_policy',
  ],
];
