/** The metrics of a server in Prometheus' text format, under Triton's names. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ServedModel } from '../models/served-model.js';
import { FAILURE_REASONS, type ModelStatistics, type RequestEnd } from '../models/statistics.js';

const LABELS = ['model', 'version'] as const;
type Labels = Record<(typeof LABELS)[number], string>;

const labelsOf = ({ name, version }: ServedModel): Labels => ({ model: name, version });

/** Triton's counters, and the statistics that they show. */
const COUNTERS: readonly [name: string, help: string, value: (statistics: ModelStatistics) => number][] = [
  ['nv_inference_request_success', 'Answered requests', ({ success }) => success.count],
  ['nv_inference_count', 'Samples of answered requests', ({ inferenceCount }) => inferenceCount],
  ['nv_inference_exec_count', 'Runs of the model', ({ executionCount }) => executionCount],
  ...(
    [
      ['request', 'From the call to the answer, in all', 'success'],
      ['queue', 'Waits for a run, in all', 'queue'],
      ['compute_input', 'Putting inputs together, in all', 'computeInput'],
      ['compute_infer', 'Runs of the model, in all', 'computeInfer'],
      ['compute_output', 'Taking outputs apart, in all', 'computeOutput'],
    ] as const
  ).map(([name, help, kind]): (typeof COUNTERS)[number] => [
    `nv_inference_${name}_duration_us`,
    `${help}, in microseconds`,
    (statistics) => statistics[kind].ns / 1000,
  ]),
];

/** Upper bounds in seconds: from a small model to one of 30 seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** The metrics of one server. Unknown names of models never become labels: only models that are loaded have series. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #durations: Histogram<keyof Labels>;
  /** The models that have a histogram. */
  readonly #followed = new Set<ServedModel>();

  /** @param models The models that are loaded now. */
  constructor(models: () => Iterable<ServedModel>) {
    collectDefaultMetrics({ register: this.#registry });
    const registers = [this.#registry];
    for (const [name, help, value] of COUNTERS) {
      new Counter({
        name,
        help,
        labelNames: LABELS,
        registers,
        collect() {
          this.reset();
          for (const model of models()) this.inc(labelsOf(model), value(model.statistics));
        },
      });
    }
    new Counter({
      name: 'nv_inference_request_failure',
      help: 'Failed requests, those that were refused included',
      labelNames: [...LABELS, 'reason'],
      registers,
      collect() {
        this.reset();
        for (const model of models()) {
          const { failures } = model.statistics;
          for (const reason of FAILURE_REASONS) {
            this.inc({ ...labelsOf(model), reason: reason.toUpperCase() }, failures[reason]);
          }
        }
      },
    });
    new Gauge({
      name: 'nv_inference_pending_request_count',
      help: 'Requests that wait for a run',
      labelNames: LABELS,
      registers,
      collect() {
        this.reset();
        for (const model of models()) this.set(labelsOf(model), model.pending);
      },
    });
    this.#durations = new Histogram({
      name: 'onnx_groupnorm_request_duration_seconds',
      help: 'Answered requests, from the call to the answer',
      labelNames: LABELS,
      buckets: BUCKETS,
      registers,
      collect: () => this.#follow(new Set(models())),
    });
  }

  /** Begins the histograms of models that are new, and ends those of models that are gone. */
  #follow(models: ReadonlySet<ServedModel>): void {
    for (const model of this.#followed) {
      if (models.has(model)) continue;
      this.#followed.delete(model);
      this.#durations.remove(labelsOf(model));
    }
    for (const model of models) this.#begin(model);
  }

  #begin(model: ServedModel): void {
    if (this.#followed.has(model)) return;
    this.#followed.add(model);
    this.#durations.zero(labelsOf(model));
  }

  /** Counts an answered request in the histogram. */
  observe(model: ServedModel, end: RequestEnd): void {
    if (end.reason !== undefined) return;
    this.#begin(model);
    this.#durations.observe(labelsOf(model), end.duration / 1000);
  }

  /** The media type of the text. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Returns all metrics as text. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
