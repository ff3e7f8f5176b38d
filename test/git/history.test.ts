/** Who made and changed the credential files, from real Git repositories. */
import { mkdirSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { readHistory } from '../../src/git/history.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import { Repository } from './repository-fixture.ts';

describeWith(['git'], 'history', () => {
  const folder = tempFolder('history');
  afterAll(() => folder.remove());
  const { signal } = new AbortController();
  const read = (path: string) =>
    readHistory('HEAD', { folder: path, signal, stallMs: 60_000, address: null });
  const by = (repository: Repository, name: string, date: string, ...files: string[]) => {
    repository.commit(date, Object.fromEntries(files.map((file) => [file, date])));
    repository.git('commit', '--quiet', '--amend', '--no-edit', `--author=${name} <a@x>`, `--date=${date}`);
  };

  test('the first and the last author of each, by paths from the configuration’s own folder', async () => {
    const repository = new Repository(folder.join('whole'));
    by(repository, 'Ann', '2026-01-01T10:00:00+01:00', 'fleet/a b/k.sops.yaml', 'fleet/é.sops.yaml');
    by(repository, 'Bob', '2026-02-01T10:00:00Z', 'fleet/a b/k.sops.yaml', 'outside.sops.yaml');
    by(repository, 'Cid', '2026-03-01T10:00:00Z', 'fleet/seed.yaml');
    const { files, unknown } = await read(`${repository.folder}/fleet`);
    expect(unknown).toBeNull();
    expect([...files.keys()].sort()).toEqual(['a b/k.sops.yaml', 'é.sops.yaml']);
    const ann = { author: 'Ann <a@x>', date: '2026-01-01T10:00:00+01:00' };
    expect(files.get('a b/k.sops.yaml')).toEqual({
      created: ann,
      modified: { author: 'Bob <a@x>', date: expect.stringMatching(/^2026-02-01T10:00:00(Z|\+00:00)$/) },
    });
    expect(files.get('é.sops.yaml')).toEqual({ created: ann, modified: ann });
  });

  test('no repository, one without commits, and a shallow one', async () => {
    mkdirSync(folder.join('plain'));
    expect(await read(folder.join('plain'))).toMatchObject({ unknown: 'unknown' });
    expect(await read(new Repository(folder.join('unborn')).folder)).toMatchObject({ unknown: 'unknown' });
    const deep = new Repository(folder.join('deep'));
    by(deep, 'Ann', '2026-01-01T10:00:00Z', 'k.sops.yaml');
    by(deep, 'Bob', '2026-02-01T10:00:00Z', 'k.sops.yaml');
    deep.git('clone', '--quiet', '--depth=1', `file://${deep.folder}`, folder.join('shallow'));
    const { files, unknown } = await read(folder.join('shallow'));
    expect(unknown).toBe('unknown (shallow clone)');
    expect(files.size).toBe(0);
  });

  test('an abort is thrown, not told as unknown', async () => {
    const aborted = { folder: folder.path, signal: AbortSignal.abort(), stallMs: 1000, address: null };
    await expect(readHistory('HEAD', aborted)).rejects.toThrow(/abort/i);
  });
});
