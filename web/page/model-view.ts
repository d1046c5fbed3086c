/** The one model of the page: its forms and its results. Another model replaces all of them. */
import { isGroupNorm } from '../../lib/insight/inspect/lowering-error.js';
import { formatBytes } from '../../lib/quantities.js';
import type { OpenModel } from '../protocol.js';
import { perform } from './activity.js';
import { fillConversions, readConversion, conversionPanel } from './conversion.js';
import { byId, definitions, element, fromTemplate } from './dom.js';
import { download, forgetDownloads } from './download.js';
import { fillInputsForm } from './inputs-form.js';
import { headRows, normalizationsPanel } from './inspection.js';
import { loweringsPanel } from './lowerings.js';
import { runPanel } from './run-result.js';
import { Tabs } from './tabs.js';

/** Says which button fills an empty panel. */
const hint = (button: string): HTMLElement =>
  element('p', { className: 'note', textContent: `Press '${button}' to see the result here.` });

/** Where a model comes from, if that matters. */
export interface Origin {
  /** Of the demo: the image that PyTorch's result belongs to. */
  readonly demoImage?: File;
}

/**
 * Shows a model in place of the model before, with everything that belonged to that.
 * @returns A function that runs the model, as the button does.
 */
export function showModel(model: OpenModel, { demoImage }: Origin = {}): () => Promise<boolean> {
  forgetDownloads();
  // The form that builds networks is long, and has done its work.
  byId('build-part', HTMLDetailsElement).open = false;
  byId('model-forms', HTMLElement).replaceChildren(fromTemplate('forms-template'));
  byId('results', HTMLElement).replaceChildren(fromTemplate('results-template'));
  byId('model-name', HTMLElement).textContent = model.name;
  byId('model-head', HTMLElement).replaceChildren(definitions(headRows(model.inspection)));
  download(byId('download', HTMLAnchorElement), model, `Download (${formatBytes(model.file.size)})`);
  const tabs = new Tabs(byId('results', HTMLElement).querySelector('.tabs')!);
  tabs.put('norms', 'Normalizations', normalizationsPanel(model.inspection));
  tabs.put('run', 'Run', [hint('Run')]);
  const { normalizations } = model.inspection;
  if (normalizations.some(isGroupNorm)) tabs.put('lowerings', 'Lowerings', [hint('Compare the lowerings')]);
  else byId('compare', HTMLButtonElement).hidden = true;
  byId('measure', HTMLButtonElement).hidden = normalizations.length === 0;
  tabs.put('convert', 'Convert', [fromTemplate('convert-template')]);
  fillConversions(model);

  const inputs = fillInputsForm(model, demoImage);
  const run = () =>
    perform(
      'run',
      () => ({ model, plan: inputs.read(), isDemo: inputs.hasGiven() }),
      (result) => tabs.show('run', 'Run', runPanel(result)),
    );
  const onSubmit = (id: string, action: () => Promise<boolean>) =>
    byId(id, HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      void action();
    });
  const onClick = (id: string, action: () => Promise<boolean>) =>
    byId(id, HTMLButtonElement).addEventListener('click', () => void action());
  onSubmit('run-form', run);
  onClick('compare', () =>
    perform(
      'lowerings',
      () => ({ model, plan: inputs.read() }),
      (result) => tabs.show('lowerings', 'Lowerings', loweringsPanel(result)),
    ),
  );
  onClick('measure', () =>
    perform(
      'measure',
      () => ({ model, plan: inputs.read() }),
      (inspection) => tabs.show('norms', 'Normalizations', normalizationsPanel(inspection)),
    ),
  );
  onSubmit('convert-form', () =>
    perform(
      'convert',
      () => ({ model, ...readConversion() }),
      (converted) => {
        byId('converted', HTMLElement).replaceChildren(
          ...conversionPanel(converted, () => showModel(converted)),
        );
        tabs.reveal();
      },
    ),
  );
  const heading = byId('model-name', HTMLElement);
  heading.focus({ preventScroll: true });
  heading.scrollIntoView({ block: 'nearest' });
  return run;
}
