/** File inputs on which files and folders can also be dropped. */

/** A field whose files were chosen or dropped. */
export interface FileField {
  files(): readonly File[];
  /** Shows other files as chosen. */
  set(files: readonly File[]): void;
}

/**
 * Makes the zone around a file input take dropped files.
 * @param input An input within an element of the class `drop`.
 * @param onChange Is called when the visitor has chosen or dropped files.
 */
export function fileField(input: HTMLInputElement, onChange: (files: readonly File[]) => void): FileField {
  const set = (files: readonly File[]): void => {
    const transfer = new DataTransfer();
    for (const file of files) transfer.items.add(file);
    input.files = transfer.files;
  };
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
    void droppedFiles(event).then((files) => {
      set(files);
      onChange(files);
    });
  });
  return { files: () => [...input.files!], set };
}

/** Returns whether a drop carries files, and not a text or a link. */
export const hasFiles = ({ dataTransfer }: DragEvent): boolean =>
  dataTransfer?.types.includes('Files') ?? false;

/** Returns the files of a drop, with those of dropped folders. */
export async function droppedFiles({ dataTransfer }: DragEvent): Promise<File[]> {
  const { items, files } = dataTransfer!;
  // Both lists are empty after the first await.
  const [given, entries] = [[...files], [...items].map((item) => item.webkitGetAsEntry())];
  if (!entries.some((entry) => entry?.isDirectory)) return given;
  return (await Promise.all(entries.filter((entry) => entry !== null).map(filesOf))).flat();
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (!entry.isDirectory)
    return [
      await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)),
    ];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: File[] = [];
  // A reader gives a folder in parts, and at its end an empty part.
  for (;;) {
    const part = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (part.length === 0) return found;
    found.push(...(await Promise.all(part.map(filesOf))).flat());
  }
}
