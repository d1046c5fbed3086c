/** Links that save a file which the page has made. */

const urls: string[] = [];

/** Makes a link one that saves a file. */
export function download(
  link: HTMLAnchorElement,
  { name, file }: { readonly name: string; readonly file: Blob },
  text: string,
): HTMLAnchorElement {
  const url = URL.createObjectURL(file);
  urls.push(url);
  return Object.assign(link, { href: url, download: name, textContent: text });
}

/** Frees the files of all links so far. */
export function forgetDownloads(): void {
  for (const url of urls.splice(0)) URL.revokeObjectURL(url);
}
