/** Runs one task at a time and shows its progress, a button to cancel it, and its error. */
import type { TaskName, Tasks } from '../protocol.js';
import { byId, element } from './dom.js';
import { Cancelled, startTask, TaskError, type Event } from './worker-task.js';

const bar = byId('progress-bar', HTMLProgressElement);
const text = byId('progress-text', HTMLElement);
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
    text.textContent = error instanceof Cancelled ? 'Cancelled.' : 'Failed: see the message below.';
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

function begin(): void {
  hideProblem();
  box.hidden = false;
  box.dataset['busy'] = 'true';
  bar.hidden = false;
  bar.removeAttribute('value');
  text.textContent = 'Starting…';
  cancelButton.hidden = false;
  for (const button of starters()) button.disabled = true;
}

function end(): void {
  delete box.dataset['busy'];
  bar.hidden = true;
  cancelButton.hidden = true;
  cancelButton.onclick = null;
  for (const button of starters()) button.disabled = false;
}

function showProgress({ text: what, done, total }: Extract<Event, { type: 'progress' }>): void {
  const counted = done !== undefined && total !== undefined;
  text.textContent = counted ? `${what} (${done} of ${total})` : `${what}…`;
  if (counted) [bar.max, bar.value] = [total, done];
  else bar.removeAttribute('value');
}

/** Shows an error with its whole message, which says what to do. */
export function showProblem(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const close = element('button', { type: 'button', textContent: 'Close', onclick: hideProblem });
  problem.replaceChildren(
    close,
    element('strong', { textContent: 'That did not work. ' }),
    ...(error instanceof TaskError ? [element('code', { textContent: error.code })] : []),
    element('pre', { textContent: message }),
  );
  box.hidden = false;
  problem.hidden = false;
}

function hideProblem(): void {
  problem.hidden = true;
  problem.replaceChildren();
}
