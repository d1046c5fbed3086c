/** File inputs on which files can also be dropped. */

/** A field whose files were chosen or dropped. */
export interface FileField {
  files(): readonly File[];
  clear(): void;
}

/**
 * Makes the zone around a file input take dropped files.
 * @param input An input within an element of the class `drop`.
 * @param onChange Is called when the visitor has chosen or dropped files.
 */
export function fileField(input: HTMLInputElement, onChange: (files: readonly File[]) => void): FileField {
  const zone = input.closest<HTMLElement>('.drop')!;
  input.addEventListener('change', () => onChange([...input.files!]));
  zone.addEventListener('dragover', (event) => {
    event.preventDefault();
    zone.dataset['over'] = 'true';
  });
  zone.addEventListener('dragleave', () => delete zone.dataset['over']);
  zone.addEventListener('drop', (event) => {
    event.preventDefault();
    event.stopPropagation();
    delete zone.dataset['over'];
    // The input shows the names of dropped files as it shows those of chosen files.
    if (event.dataTransfer) input.files = event.dataTransfer.files;
    onChange([...input.files!]);
  });
  return {
    files: () => [...(input.files ?? [])],
    clear: () => (input.value = ''),
  };
}

/** Returns whether a drop carries files, and not a text or a link. */
export const hasFiles = ({ dataTransfer }: DragEvent): boolean =>
  dataTransfer?.types.includes('Files') ?? false;
