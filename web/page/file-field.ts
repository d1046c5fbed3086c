/** File inputs on which files can also be dropped. */
import { byId } from './dom.js';

/** Sets up a file input. @returns Functions that give the file chosen last, and clear the field. */
export function fileField(id: string, onChange: () => void): { file(): File | undefined; clear(): void } {
  const input = byId(id, HTMLInputElement);
  const zone = input.closest<HTMLElement>('.drop')!;
  let dropped: File | undefined;
  const file = () => dropped ?? input.files?.[0];
  const changed = () => {
    const name = file()?.name;
    zone.querySelector('output')!.textContent = name === undefined ? '' : `Chosen: ${name}`;
    onChange();
  };
  input.addEventListener('change', () => {
    dropped = undefined;
    changed();
  });
  zone.addEventListener('dragover', (event) => {
    event.preventDefault();
    zone.dataset['over'] = 'true';
  });
  zone.addEventListener('dragleave', () => delete zone.dataset['over']);
  zone.addEventListener('drop', (event) => {
    event.preventDefault();
    delete zone.dataset['over'];
    dropped = event.dataTransfer?.files[0];
    changed();
  });
  return {
    file,
    clear() {
      dropped = undefined;
      input.value = '';
      zone.querySelector('output')!.textContent = '';
    },
  };
}
