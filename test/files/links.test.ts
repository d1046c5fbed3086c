import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FileError } from '../../lib/errors.js';
import { requireOneFolder } from '../../lib/files/atomic.js';
import { rejection, temporaryFolder } from '../support/temporary.js';

describe('files/links', () => {
  const path = temporaryFolder();

  it('a file, a link in the same folder, a folder that is a link, and what is not there yet are fine', async () => {
    await mkdir(path('folder'));
    await writeFile(path('folder', 'model'), '');
    await symlink('model', path('folder', 'link'));
    await symlink(path('folder'), path('linked'));
    for (const name of [
      'folder/model',
      'folder/link',
      'linked/model',
      'linked/link',
      'folder/new',
      'none/new',
    ]) {
      await requireOneFolder(path(name));
    }
  });

  it('a link into another folder is refused, with the file to name instead', async () => {
    await mkdir(path('folder'));
    await writeFile(path('folder', 'model'), '');
    await symlink(path('folder', 'model'), path('link'));
    const error = await rejection(requireOneFolder(path('link')));
    expect(error).to.be.instanceOf(FileError).with.property('code', 'FILE_UNWRITABLE');
    expect((error as Error).message).to.match(/link into another folder; name '.*folder.model' itself$/);
  });
});
