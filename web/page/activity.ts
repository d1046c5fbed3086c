/** Runs one task at a time and shows its progress, how long it takes, a button to stop it, and its error. */
import type { AdvisedOption } from '../../lib/errors.js';
import type { TaskName, Tasks } from '../protocol.js';
import { formatDuration } from '../../lib/quantities.js';
import { byId, element } from './dom.js';
import { Cancelled, startTask, TaskError, type Event } from './worker-task.js';

const bar = byId('progress-bar', HTMLProgressElement);
const text = byId('progress-text', HTMLElement);
const time = byId('progress-time', HTMLElement);
const box = byId('activity', HTMLElement);
const problem = byId('problem', HTMLElement);
const cancelButton = byId('cancel', HTMLButtonElement);

/** The buttons that start a task. */
const starters = () => document.querySelectorAll<HTMLButtonElement>('button[data-starts]');

/**
 * Runs a task in the worker and shows its progress.
 * @param show Called with the result. An error is shown, and the rest of the page stays as it was.
 * @returns Whether the task succeeded.
 */
export async function perform<Name extends TaskName>(
  name: Name,
  input: () => Tasks[Name]['input'],
  show: (result: Tasks[Name]['result']) => void,
  onCase: (event: Extract<Event, { type: 'case' }>) => void = () => undefined,
): Promise<boolean> {
  const focused = document.activeElement;
  begin();
  try {
    const task = startTask(name, input(), (event) =>
      event.type === 'case' ? onCase(event) : showProgress(event),
    );
    cancelButton.onclick = task.cancel;
    show(await task.result);
    text.textContent = 'Done.';
    return true;
  } catch (error) {
    text.textContent = error instanceof Cancelled ? 'Stopped.' : 'Failed: see the message below.';
    if (!(error instanceof Cancelled)) showProblem(error);
    return false;
  } finally {
    end();
    // A button loses the focus when it is disabled or removed.
    if (document.activeElement === document.body && focused instanceof HTMLElement) {
      focused.focus({ preventScroll: true });
    }
  }
}

/** Whether a task is running: another one must wait. */
export const isBusy = (): boolean => box.dataset['busy'] !== undefined;

let started = 0;
let timer: number | undefined;
/** When the counted steps of a task began, and how many are left. */
let counted: { readonly since: number; readonly done: number; readonly total: number } | undefined;

/** Shows how long the task has taken, and how long its counted steps will still take. */
function showTime(): void {
  const now = performance.now();
  const seconds = (milliseconds: number) =>
    formatDuration(1000 * Math.max(1, Math.round(milliseconds / 1000)));
  const left =
    counted && counted.done > 0 && ((now - counted.since) / counted.done) * (counted.total - counted.done);
  time.textContent =
    now - started < 1000 ? '' : `${seconds(now - started)}${left ? `, about ${seconds(left)} left` : ''}`;
}

function begin(): void {
  hideProblem();
  box.hidden = false;
  box.dataset['busy'] = 'true';
  bar.hidden = false;
  bar.removeAttribute('value');
  text.textContent = 'Starting…';
  started = performance.now();
  counted = undefined;
  showTime();
  timer = setInterval(showTime, 500);
  cancelButton.hidden = false;
  for (const button of starters()) button.disabled = true;
}

function end(): void {
  delete box.dataset['busy'];
  clearInterval(timer);
  counted = undefined;
  showTime();
  bar.hidden = true;
  cancelButton.hidden = true;
  cancelButton.onclick = null;
  for (const button of starters()) button.disabled = false;
}

function showProgress({ text: what, done, total }: Extract<Event, { type: 'progress' }>): void {
  const isCounted = done !== undefined && total !== undefined;
  // Of counted steps the words stay the same, so that screen readers do not read each number.
  text.textContent = `${what}…`;
  if (isCounted) {
    [bar.max, bar.value] = [total, done];
    counted = { since: done === 0 || !counted ? performance.now() : counted.since, done, total };
  } else {
    bar.removeAttribute('value');
    counted = undefined;
  }
}

/** What the options that messages of the library advise are on this page. */
const ON_THIS_PAGE: Readonly<Record<Exclude<AdvisedOption, `limits.${string}`>, string>> = {
  externalData:
    "This page writes models of one file. 'npx onnx-groupnorm build NAME --external-data' writes larger models.",
  groupNorm: "'Compare the lowerings' runs the model in this way too: as op.",
  map: 'This page does not compare models.',
  merge: "On this page: choose 'the standard operator, and opset 21'.",
  prefix: "On this page: fill in 'Only the keys under this prefix'.",
};

/** Returns what to do on this page about an error, where its message advises an option. */
function adviceOf(error: unknown): string[] {
  const option = error instanceof TaskError ? error.failure.option : undefined;
  if (option === undefined) return [];
  if (option in ON_THIS_PAGE) return [ON_THIS_PAGE[option as keyof typeof ON_THIS_PAGE]];
  return ['This page keeps to the limits of the library: a program, or the command line, may set others.'];
}

/** Shows an error with its whole message, which says what to do. */
export function showProblem(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const close = element('button', { type: 'button', textContent: 'Close', onclick: hideProblem });
  problem.replaceChildren(
    close,
    element('strong', { textContent: 'That did not work. ' }),
    ...(error instanceof TaskError ? [element('code', { textContent: error.failure.code })] : []),
    element('pre', { textContent: message }),
    ...adviceOf(error).map((textContent) => element('p', { textContent })),
  );
  box.hidden = false;
  problem.hidden = false;
}

function hideProblem(): void {
  problem.hidden = true;
  problem.replaceChildren();
}
