import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openSource, type Source } from '../../src/git/source.ts';
import { GranaryError } from '../../src/model/errors.ts';
import { describeWith } from '../servers/describe.ts';
import { freePort } from '../servers/ports.ts';
import { tempFolder } from '../servers/temp.ts';
import { gitOverHttp, type HttpServer, Repository, serve, withoutOwnSettings } from './repository-fixture.ts';

const signal = new AbortController().signal;

async function refusal(attempt: Promise<unknown>): Promise<GranaryError> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(GranaryError);
  return error as GranaryError;
}

describeWith(['git'], 'sources', () => {
  const folder = tempFolder('git');
  let count = 0;
  let origin: Repository;
  let workDir: string;
  const servers: HttpServer[] = [];
  const serving = async (...args: Parameters<typeof serve>) => {
    const server = await serve(...args);
    servers.push(server);
    return server;
  };
  const openRef = (ref: string | null, repo = origin.folder): Promise<Source> =>
    openSource({ repo, ref, workDir }, { signal });
  const read = (source: Source) => readFileSync(join(source.root, 'seeds/eu.yaml'), 'utf8');

  beforeEach(() => {
    withoutOwnSettings(folder.path);
    count++;
    origin = new Repository(folder.join(`origin-${count}`));
    workDir = folder.join(`work-${count}`);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    for (const server of servers.splice(0)) await server.close();
  });
  afterAll(() => folder.remove());

  test('a plain folder has no commit', async () => {
    const path = folder.join('plain');
    mkdirSync(path, { recursive: true });
    const source = await openSource({ path }, { signal });
    expect(source).toMatchObject({ kind: 'folder', root: path, commit: null, note: null });
    expect(await source.refresh({ signal })).toBe(false);
    await source.close();
    expect(existsSync(path)).toBe(true);
  });

  test('a folder in a work tree has its commit, and whether it differs from it', async () => {
    expect((await openSource({ path: origin.folder }, { signal })).commit).toBeNull();
    const id = origin.commit('Keep monthly – backups');
    const path = join(origin.folder, 'seeds');
    const source = await openSource({ path }, { signal });
    expect(source.root).toBe(path);
    expect(source.commit).toEqual({
      id,
      subject: 'Keep monthly – backups',
      author: 'Olga Ops <ops@acme.example>',
      date: '2026-11-21T10:00:00+01:00',
      dirty: false,
    });
    writeFileSync(join(origin.folder, 'elsewhere'), 'x');
    expect(await source.refresh({ signal })).toBe(false);
    writeFileSync(join(path, 'new.yaml'), 'x');
    expect(await source.refresh({ signal })).toBe(true);
    expect(source.commit).toMatchObject({ id, dirty: true });
    const next = origin.commit('Next');
    expect(await source.refresh({ signal })).toBe(true);
    expect(source.commit).toMatchObject({ id: next, dirty: false });
  });

  test('of a message of any size the beginning is told, and is all that is held', async () => {
    origin.commit('Long', { 'message.txt': `${'Keep monthly – backups '.repeat(50_000)}\n` });
    origin.git('commit', '--quiet', '--amend', '-F', 'message.txt');
    const { commit } = await openSource({ path: origin.folder }, { signal });
    expect(commit?.subject).toMatch(/^Keep monthly – backups .*\.\.$/);
    expect(commit?.subject.length).toBe(300);
    origin.git('commit', '--quiet', '--amend', '-m', 'Short – 日本語');
    const { commit: short } = await openRef('main');
    expect(short).toMatchObject({ subject: 'Short – 日本語', author: 'Olga Ops <ops@acme.example>' });
  });

  test('a folder that is not there', async () => {
    for (const path of [folder.join('none'), '/dev/null']) {
      const error = await refusal(openSource({ path }, { signal }));
      expect(error.code).toBe('config-not-found');
      expect(error.message).toContain(path);
    }
  });

  test('the default branch, by path and by file URL', async () => {
    const id = origin.commit('First', { 'seeds/eu.yaml': 'one\n', 'bin/x': '\0\r\n' });
    origin.git('checkout', '--quiet', '-b', 'other');
    origin.git('checkout', '--quiet', 'main');
    const bare = folder.join(`bare-${count}`);
    origin.git('clone', '--quiet', '--bare', '.', bare);
    for (const repo of [origin.folder, `file://${origin.folder}`, bare, `file://${bare}`]) {
      const source = await openRef(null, repo);
      expect(source).toMatchObject({
        kind: 'repository',
        commit: { id, subject: 'First', dirty: false },
        note: null,
      });
      expect(read(source)).toBe('one\n');
      expect(readFileSync(join(source.root, 'bin/x'), 'latin1')).toBe('\0\r\n');
      expect(readdirSync(source.root).sort()).toEqual(['bin', 'seeds']);
      await source.close();
      expect(readdirSync(workDir)).toEqual([]);
    }
  });

  test('a branch, a tag, an annotated tag, a commit id', async () => {
    const first = origin.commit('First');
    origin.git('tag', 'v1');
    const second = origin.commit('Second');
    origin.git('tag', '-a', 'v2', '-m', 'two');
    origin.git('branch', 'release/2');
    const third = origin.commit('Third');
    for (const [ref, id] of [
      ['v1', first],
      ['v2', second],
      ['release/2', second],
      ['refs/tags/v1', first],
      ['main', third],
      [first, first],
      [second, second],
    ] as const) {
      const source = await openRef(ref);
      expect([ref, source.commit?.id]).toEqual([ref, id]);
      expect(await source.refresh({ signal })).toBe(false);
      await source.close();
    }
  });

  test('a branch comes before a tag of the same name', async () => {
    origin.commit('First');
    origin.git('tag', 'same');
    origin.git('checkout', '--quiet', '-b', 'same');
    const id = origin.commit('Second');
    expect((await openRef('same')).commit?.id).toBe(id);
  });

  test('a ref that is not there names what is near', async () => {
    origin.commit('First');
    for (const name of ['production', 'staging', 'feature/a', 'feature/b']) origin.git('branch', name);
    const error = await refusal(openRef('prodution'));
    expect(error.code).toBe('git-ref-not-found');
    expect(error.message).toContain('`prodution`');
    expect(error.hint).toMatch(/nearest of the 5 .*`production`/);
    expect(readdirSync(workDir)).toEqual([]);
    expect((await refusal(openRef(origin.git('rev-parse', '--short', 'HEAD')))).hint).toContain('in full');
    expect((await refusal(openRef('b'.repeat(40)))).code).toBe('git-ref-not-found');
  });

  test('an empty repository, and none at all', async () => {
    expect((await refusal(openRef(null))).code).toBe('git-ref-not-found');
    expect((await refusal(openRef('main'))).hint).toContain('empty');
    const error = await refusal(openRef(null, folder.join('nowhere.git')));
    expect(error.code).toBe('git-failed');
    expect(error.message).toContain('nowhere.git');
  });

  test('follows a branch; the folder that is being read stays', async () => {
    const first = origin.commit('First', { 'seeds/eu.yaml': 'one\n', 'gone.yaml': 'x' });
    const source = await openRef('main');
    const firstRoot = source.root;
    expect(await source.refresh({ signal })).toBe(false);
    origin.git('rm', '--quiet', 'gone.yaml');
    origin.commit('Second', { 'seeds/eu.yaml': 'two\n' });
    expect(await source.refresh({ signal })).toBe(true);
    expect(source.note).toBeNull();
    expect(source.root).not.toBe(firstRoot);
    expect(read(source)).toBe('two\n');
    expect(readdirSync(source.root)).toEqual(['seeds']);
    expect(readFileSync(join(firstRoot, 'gone.yaml'), 'utf8')).toBe('x');

    origin.commit('Third', { 'seeds/eu.yaml': 'three\n' });
    const both = await Promise.all([source.refresh({ signal }), source.refresh({ signal })]);
    expect(both).toEqual([true, false]);
    expect(read(source)).toBe('three\n');
    expect(existsSync(firstRoot)).toBe(false);
    expect(source.commit?.id).not.toBe(first);
    expect(readdirSync(join(workDir, 'granary-source'))).toHaveLength(3);
  });

  test('a force push is followed and told; so is the way back', async () => {
    const first = origin.commit('First', { 'seeds/eu.yaml': 'one\n' });
    const second = origin.commit('Second', { 'seeds/eu.yaml': 'two\n' });
    const source = await openRef('main');
    origin.git('reset', '--quiet', '--hard', first);
    const other = origin.commit('Other', { 'seeds/eu.yaml': 'other\n' });
    expect(await source.refresh({ signal })).toBe(true);
    expect(source.commit?.id).toBe(other);
    expect(source.note).toContain(`${other.slice(0, 7)} does not follow from ${second.slice(0, 7)}`);
    origin.git('reset', '--quiet', '--hard', second);
    expect(await source.refresh({ signal })).toBe(true);
    expect(read(source)).toBe('two\n');
    expect(source.note).toContain('rewritten');
    origin.commit('Third', { 'seeds/eu.yaml': 'three\n' });
    expect(await source.refresh({ signal })).toBe(true);
    expect(source.note).toBeNull();
  });

  test('a clone does not grow for ever: it is made anew now and then, and nothing else is noticed of that', async () => {
    origin.commit('First', { 'seeds/eu.yaml': 'one\n' });
    const source = await openSource({ repo: origin.folder, ref: 'main', workDir }, { signal, freshAfter: 3 });
    const objects = () =>
      readdirSync(join(workDir, 'granary-source/repository/.git/objects'), { recursive: true }).length;
    const counts: number[] = [];
    for (let index = 0; index < 9; index++) {
      origin.commit(`Edit ${index}`, { 'seeds/eu.yaml': `${index}\n` });
      // What no branch has any more is left out of a new clone.
      const gone = origin.commit('Gone', { 'seeds/eu.yaml': crypto.randomUUID() });
      await source.refresh({ signal });
      expect(source.commit?.id).toBe(gone);
      origin.git('reset', '--quiet', '--hard', 'HEAD~1');
      await source.refresh({ signal });
      expect(read(source)).toBe(`${index}\n`);
      expect(source.note).toContain('rewritten');
      counts.push(objects());
    }
    // Without that each round leaves more than the one before.
    expect(counts.some((count, index) => index > 0 && count <= (counts[index - 1] ?? 0))).toBe(true);
  });

  test('an error leaves everything as it was, and the next look recovers', async () => {
    origin.commit('First', { 'seeds/eu.yaml': 'one\n' });
    const source = await openRef('main');
    const before = { root: source.root, commit: source.commit };
    origin.git('branch', '-m', 'main', 'away');
    expect((await refusal(source.refresh({ signal }))).code).toBe('git-ref-not-found');
    expect({ root: source.root, commit: source.commit }).toEqual(before);
    expect(read(source)).toBe('one\n');
    origin.commit('Second', { 'seeds/eu.yaml': 'two\n' });
    origin.git('branch', '-m', 'away', 'main');
    expect(await source.refresh({ signal })).toBe(true);
    expect(read(source)).toBe('two\n');
  });

  test('leftovers of a killed process do not matter', async () => {
    origin.commit('First', { 'seeds/eu.yaml': 'one\n' });
    const source = await openRef('main');
    writeFileSync(join(source.root, 'seeds/eu.yaml'), 'half');
    writeFileSync(join(workDir, 'granary-source/repository/.git/shallow.lock'), '');
    expect(read(await openRef('main'))).toBe('one\n');
  });

  test('nothing of the repository is run: no hooks, no submodules; links stay links', async () => {
    const template = folder.join(`template-${count}`);
    for (const hook of ['post-checkout', 'reference-transaction', 'post-index-change']) {
      mkdirSync(join(template, 'hooks'), { recursive: true });
      writeFileSync(join(template, 'hooks', hook), `#!/bin/sh\ntouch ${folder.join('hooked')}\n`, {
        mode: 0o755,
      });
    }
    const settings = folder.join(`gitconfig-${count}`);
    writeFileSync(settings, `[init]\n\ttemplateDir = ${template}\n`);
    vi.stubEnv('GIT_CONFIG_GLOBAL', settings);
    mkdirSync(join(origin.folder, 'seeds'));
    symlinkSync('/etc/hostname', join(origin.folder, 'seeds/link'));
    const id = origin.commit('First', {
      '.gitmodules': `[submodule "x"]\n\tpath = x\n\turl = ext::touch ${folder.join('hooked')}\n`,
    });
    origin.git('update-index', '--add', '--cacheinfo', `160000,${id},x`);
    origin.git('commit', '--quiet', '-m', 'With a submodule');
    const source = await openRef('main');
    expect(source.commit?.subject).toBe('With a submodule');
    expect(lstatSync(join(source.root, 'seeds/link')).isSymbolicLink()).toBe(true);
    expect(existsSync(folder.join('hooked'))).toBe(false);
  });

  test('a folder that was made to look like a repository of its own runs nothing', async () => {
    const hooked = folder.join(`filtered-${count}`);
    const path = join(origin.folder, 'fleet');
    // Git commits all of it as it is, for none of it is called `.git`.
    const hidden = new Repository(folder.join(`hidden-${count}`));
    hidden.commit('Hidden', { 'a.yaml': 'a\n', '.gitattributes': 'a.yaml filter=x\n' });
    cpSync(join(hidden.folder, '.git'), path, { recursive: true });
    origin.commit('Hostile', {
      'fleet/a.yaml': 'b\n',
      'fleet/.gitattributes': 'a.yaml filter=x\n',
      'fleet/config': `[core]\n\tbare = false\n\tworktree = .\n[filter "x"]\n\tclean = touch ${hooked}; cat\n`,
    });
    const source = await openSource({ path }, { signal });
    await source.refresh({ signal });
    expect((await source.history({ signal })).unknown).not.toBeNull();
    expect((await refusal(source.base('HEAD', { signal }))).code).toBe('git-ref-not-found');
    expect(existsSync(hooked)).toBe(false);
    expect(source).toMatchObject({ commit: null, note: expect.stringContaining('bare repository') });
  });

  test('a work folder that cannot be made', async () => {
    writeFileSync(workDir, 'a file');
    const error = await refusal(openRef(null));
    expect(error.code).toBe('file-unreadable');
    expect(error.message).toContain(workDir);
  });

  test('options in disguise are refused before git runs', async () => {
    origin.commit('First');
    for (const [repo, ref] of [
      [origin.folder, '--upload-pack=touch x'],
      [`--upload-pack=touch ${folder.join('x')}`, 'main'],
      [`ext::touch ${folder.join('x')}`, null],
    ] as const) {
      expect((await refusal(openSource({ repo, ref, workDir }, { signal }))).code).toBe('usage');
    }
    expect(existsSync(folder.join('x'))).toBe(false);
  });

  test('over HTTP with a password: works, and nobody sees it', async () => {
    const id = origin.commit('First', { 'seeds/eu.yaml': 'one\n' });
    const { port } = await serving(gitOverHttp(folder.path, 'bot', 'p@ss-word'));
    const where = `127.0.0.1:${port}/origin-${count}/.git`;
    const source = await openRef('main', `http://bot:p%40ss-word@${where}`);
    expect(source.commit?.id).toBe(id);
    const next = origin.commit('Second', { 'seeds/eu.yaml': 'two\n' });
    expect(await source.refresh({ signal })).toBe(true);
    expect(source.commit?.id).toBe(next);
    expect(readFileSync(join(workDir, 'granary-source/repository/.git/config'), 'utf8')).not.toContain(
      'ss-word',
    );
    // No ref stands at the first commit any more.
    await source.close();
    expect((await openRef(id, `http://bot:p%40ss-word@${where}`)).commit?.id).toBe(id);

    for (const repo of [`http://bot:wr0ng-pass@${where}`, `http://${where}`, `http://t0ken-only@${where}`]) {
      const error = await refusal(openRef('main', repo));
      expect(error.code).toBe('git-auth');
      expect(error.message).toContain(where);
      expect(inspect(error, { depth: 9 }) + error.hint).not.toMatch(/wr0ng|t0ken/);
    }
  });

  test('a server that refuses, is missing, or speaks nonsense', async () => {
    const forbidden = await serving((_request, response) => response.writeHead(403).end());
    expect((await refusal(openRef(null, `http://127.0.0.1:${forbidden.port}/x`))).code).toBe('git-auth');
    const nothing = await serving((_request, response) => response.writeHead(404).end());
    expect((await refusal(openRef(null, `http://127.0.0.1:${nothing.port}/x`))).code).toBe('git-failed');
    const nonsense = await serving((_request, response) =>
      response
        .setHeader('content-type', 'application/x-git-upload-pack-advertisement')
        .end('001e# service=git-upload-pack\n0000zzzz\u001b[31m'),
    );
    expect((await refusal(openRef(null, `http://127.0.0.1:${nonsense.port}/x`))).code).toBe('git-failed');
    const closed = await refusal(openRef(null, `http://127.0.0.1:${await freePort()}/x`));
    expect(closed.code).toBe('git-failed');
    expect(closed.message).toContain('cannot be reached');
  });

  test('a server that says nothing is given up', async () => {
    const silent = await serving(() => {});
    const repo = `http://127.0.0.1:${silent.port}/x`;
    const error = await refusal(openSource({ repo, ref: null, workDir }, { signal, stallMs: 300 }));
    expect(error.code).toBe('git-failed');
    expect(error.message).toContain('no answer');
    expect(readdirSync(workDir)).toEqual([]);
  });

  test('an abort ends it with the reason, also in the midst', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const silent = await serving(() => controller.abort(reason));
    const repo = `http://127.0.0.1:${silent.port}/x`;
    await expect(openSource({ repo, ref: null, workDir }, { signal: controller.signal })).rejects.toBe(
      reason,
    );
    expect(silent.requests).toHaveLength(1);
    await expect(openSource({ path: folder.path }, { signal: controller.signal })).rejects.toBe(reason);
  });
});
