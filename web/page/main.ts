/** The page: where its model comes from, and the check of the browser. */
import { DEFAULT_OPSET } from '../../lib/browser.js';
import type { Manifest, OpenModel, WebProvider } from '../protocol.js';
import { listNames } from '../../lib/quantities.js';
import { isBusy, perform, showProblem } from './activity.js';
import { setUpBuildForm } from './build-form.js';
import { byId } from './dom.js';
import { describeEnvironment } from './environment.js';
import { droppedFiles, fileField, hasFiles } from './file-field.js';
import { showModel } from './model-view.js';
import { startParity } from './parity.js';

const onClick = (id: string, action: () => Promise<unknown>): void =>
  byId(id, HTMLButtonElement).addEventListener('click', () => void action().catch(showProblem));

const manifest = fetch('fixtures.json').then((response) => response.json() as Promise<Manifest>);

const readSpec = setUpBuildForm();
byId('build-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  void perform(
    'build',
    () => ({ spec: readSpec() }),
    (model) => void showModel(model),
  );
});

onClick('demo', async () => {
  const { graph, options } = (await manifest).demo;
  const image = new File([await (await fetch('demo/cells.png')).blob()], 'cells.png');
  const weights = { from: 'demo' } as const;
  const spec = { graph, options, dtype: 'float32', opset: DEFAULT_OPSET, lowering: 'op', weights } as const;
  let opened: OpenModel | undefined;
  if (
    await perform(
      'build',
      () => ({ spec }),
      (model) => (opened = model),
    )
  )
    await showModel(opened!, { demoImage: image })();
});

/** Files that were chosen without their model, or a model without the files of its weights: they wait for the rest. */
let waiting: readonly File[] = [];

async function open(chosen: readonly File[]): Promise<void> {
  if (chosen.length === 0 || isBusy()) return;
  const isModel = ({ name }: File) => /\.onnx$/i.test(name);
  const isOther = chosen.some(isModel) && waiting.some(isModel);
  const files = isOther ? chosen : [...waiting, ...chosen];
  const [file = chosen[0]!, ...others] = files.filter(isModel);
  if (others.length > 0) {
    const names = listNames([file, ...others].map(({ name }) => name));
    return showProblem(
      new Error(`This page has one model at a time: choose one of ${names}, with its files.`),
    );
  }
  waiting = files;
  const data = files.filter((one) => one !== file);
  const isOpen = await perform(
    'open',
    () => ({ file, data }),
    (model) => void showModel(model),
  );
  if (isOpen) waiting = [];
}

fileField(byId('model-file', HTMLInputElement), (files) => void open(files));
// Models may be dropped anywhere, and a file that misses its place must not replace the page.
addEventListener('dragover', (event) => hasFiles(event) && event.preventDefault());
addEventListener('drop', (event) => {
  if (!hasFiles(event) || event.defaultPrevented) return;
  event.preventDefault();
  void droppedFiles(event).then(open);
});

onClick('check', async () => {
  const add = startParity(await manifest);
  const provider = byId('parity-provider', HTMLSelectElement).value as WebProvider;
  await perform(
    'parity',
    () => ({ provider }),
    () => undefined,
    ({ parity }) => add(parity),
  );
});

describeEnvironment();
document.documentElement.dataset['ready'] = 'true';
