/** The page: what each button does. */
import type { BuildResult, Manifest } from '../protocol.js';
import { perform, showProblem } from './activity.js';
import { byId } from './dom.js';
import { describeEnvironment } from './environment.js';
import { chooseDemoImage, readInput, readProvider, setUpInputForm } from './input-form.js';
import { chooseDemo, readSpec, setUpModelForm } from './model-form.js';
import { startParity } from './parity.js';
import { showRun } from './run-result.js';
import { showModel } from './summary.js';
import { showTimings } from './timings.js';

const manifest = fetch('fixtures.json').then((response) => response.json() as Promise<Manifest>);

const onClick = (id: string, action: () => Promise<unknown>): void =>
  byId(id, HTMLButtonElement).addEventListener('click', () => void action().catch(showProblem));

const build = (): Promise<boolean> =>
  perform(
    'build',
    () => ({ spec: readSpec() }),
    (result: BuildResult) => showModel(result),
  );

const runInput = () => ({ spec: readSpec(), provider: readProvider(), source: readInput() });

const run = (): Promise<boolean> => perform('run', runInput, showRun);

setUpModelForm();
setUpInputForm();
describeEnvironment();

onClick('build', build);
onClick('run', run);
onClick('measure', () => perform('timings', runInput, showTimings));
onClick('demo', async () => {
  chooseDemo((await manifest).demo);
  chooseDemoImage();
  if (await build()) await run();
});
onClick('check', async () => {
  const add = startParity(await manifest);
  await perform(
    'parity',
    () => ({ provider: readProvider() }),
    () => undefined,
    ({ parity }) => add(parity),
  );
});
byId('model', HTMLFormElement).addEventListener('submit', (event) => event.preventDefault());
document.documentElement.dataset['ready'] = 'true';
