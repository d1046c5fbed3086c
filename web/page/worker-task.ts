/** Runs one task in a worker, reports its progress, and can cancel it. */
import type { Failure, Message, OpenModel, TaskName, Tasks } from '../protocol.js';

/** An error of the worker. */
export class TaskError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

/** Thrown when the visitor cancels a task. */
export class Cancelled extends Error {}

export type Event = Extract<Message, { type: 'progress' | 'case' }>;

interface RunningTask<Name extends TaskName> {
  readonly result: Promise<Tasks[Name]['result']>;
  readonly cancel: () => void;
}

/**
 * A worker kept for the next task, because ONNX Runtime takes a while to load. A task that fails, is stopped or has a large model
 * ends its worker: WebAssembly never gives memory back.
 */
let idle: Worker | undefined;

/** Bytes of a large model. */
const LARGE = 2 ** 27;

/** Returns the bytes of the model that a task was given or has made; 0 if it has none. */
function modelSize(input: object, result: object): number {
  const models = 'model' in input ? [input.model, result] : [result];
  return Math.max(0, ...models.map((one) => (one as Partial<OpenModel>).file?.size ?? 0));
}

/** Starts a task. To cancel it, ends its worker: a run of WebAssembly cannot be stopped in another way. */
export function startTask<Name extends TaskName>(
  name: Name,
  input: Tasks[Name]['input'],
  onEvent: (event: Event) => void,
): RunningTask<Name> {
  const worker = idle ?? new Worker(new URL('worker.js', document.baseURI), { type: 'module' });
  idle = undefined;
  let cancel = (): void => undefined;
  const result = new Promise<Tasks[Name]['result']>((resolve, reject) => {
    const end = (): void => {
      worker.onmessage = worker.onerror = null;
    };
    cancel = () => {
      end();
      worker.terminate();
      reject(new Cancelled());
    };
    worker.onmessage = ({ data }: MessageEvent<Message>) => {
      if (data.type === 'progress' || data.type === 'case') return onEvent(data);
      end();
      if (data.type === 'result') {
        if (modelSize(input, data.result) < LARGE) idle = worker;
        else worker.terminate();
        resolve(data.result);
      } else {
        // The memory of its WebAssembly may be spent.
        worker.terminate();
        reject(new TaskError(data));
      }
    };
    worker.onerror = (event) => {
      end();
      worker.terminate();
      const message = event.message || 'the part of the page that computes does not start: reload the page';
      reject(new TaskError({ code: 'WORKER', message }));
    };
  });
  worker.postMessage({ task: name, ...input });
  return { result, cancel: () => cancel() };
}
