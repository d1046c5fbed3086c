/** One task in a worker of its own making: the page hears of its progress, and may end it. */
import type { Message, TaskName, Tasks } from '../protocol.js';

/** The worker's error, with the library's code. */
export class TaskError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** A task was ended by the visitor. */
export class Cancelled extends Error {}

export type Event = Extract<Message, { type: 'progress' | 'case' }>;

interface RunningTask<Name extends TaskName> {
  readonly result: Promise<Tasks[Name]['result']>;
  readonly cancel: () => void;
}

/** Kept from task to task, because ONNX Runtime takes a while to load; a cancelled task takes it along. */
let idle: Worker | undefined;

/** A run of WebAssembly cannot be stopped from within: to cancel a task is to end its worker. */
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
      idle = worker;
      if (data.type === 'result') resolve(data.result);
      else reject(new TaskError(data.code, data.message));
    };
    worker.onerror = (event) => {
      end();
      worker.terminate();
      reject(new TaskError('WORKER', event.message || 'the worker could not be started: reload the page'));
    };
  });
  worker.postMessage({ task: name, ...input });
  return { result, cancel: () => cancel() };
}
