import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FileError } from '../../lib/errors.js';
import { requireOneFolder } from '../../lib/files/atomic.js';
import { rejection, temporaryFolder } from '../support/temporary.js';

describe('files/links', () => {
  const path = temporaryFolder();

  it('requireOneFolder accepts a file, a link within its folder, a linked folder, and a path that does not exist yet', async () => {
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

  it('requireOneFolder refuses a link into another folder, and names the file to use instead', async () => {
    await mkdir(path('folder'));
    await writeFile(path('folder', 'model'), '');
    await symlink(path('folder', 'model'), path('link'));
    const error = await rejection(requireOneFolder(path('link')));
    expect(error).to.be.instanceOf(FileError).with.property('code', 'FILE_UNWRITABLE');
    expect((error as Error).message).to.match(/link into another folder; name '.*folder.model' itself$/);
  });
});
