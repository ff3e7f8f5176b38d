/** `plan --base`, `--inventory`, `--out` and `apply --plan`, as they are typed, on a real bare repository. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { InventoryFile } from '../../src/catalog/inventory-file.ts';
import type { Plan } from '../../src/model/generated/plan.ts';
import { gitOverHttp, serve } from '../git/repository-fixture.ts';
import { hourly, read } from '../plan/fixtures.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { configuration, type Origin, originIn, repositoryId } from './configured-repository.ts';
import { expectErrorText, granary, granaryJson } from './granary.ts';

let temp: TempFolder;
let folder: string;
let origin: Origin;

beforeEach(() => {
  temp = tempFolder('offline');
  folder = temp.path;
  origin = originIn(folder, configuration(folder));
  origin.work.git('switch', '--quiet', '-c', 'feature');
});
afterEach(() => temp[Symbol.dispose]());

const codesOf = ({ guards }: Plan) => guards.map(({ code }) => code);
const consequencesOf = ({ changes }: Plan) => changes.flatMap(({ consequences }) => consequences);

describe('--base', () => {
  test('shows what the branch changes, and not what happened on main meanwhile', async () => {
    origin.work.commit('fewer', configuration(folder, { last: '12' }));
    origin.work.git('switch', '--quiet', 'main');
    origin.work.commit('later', { 'policies/nightly.yaml': 'broken: [' });
    origin.work.git('push', '--quiet', 'origin', 'main', 'feature');
    const clone = origin.clone('clone', 'feature');
    const base = ['plan', '--base', 'origin/main'];
    const made = await granaryJson<Plan>(base, { cwd: clone.folder });
    expect(made.changes).toMatchObject([
      { kind: 'Policy', name: 'hourly', fields: [{ path: 'keep.last', before: 24, after: 12 }] },
    ]);
    expect(made.actions).toEqual([]);
    expect((await granary([...base, '--detailed-exitcode'], { cwd: clone.folder })).code).toBe(2);

    // The same of a repository that is named, for whoever has no clone.
    const named = ['plan', '--repo', `file://${origin.url}`, '--ref', 'feature', '--base', 'main'];
    const env = { TMPDIR: join(folder, 'tmp') };
    mkdirSync(env.TMPDIR);
    expect((await granaryJson<Plan>(named, { env })).changes).toEqual(made.changes);
    expect((await granary(base, { cwd: clone.folder, env })).code).toBe(0);
    expect(readdirSync(env.TMPDIR).filter((name) => name.startsWith('granary-'))).toEqual([]);
  });

  test('of a configuration in a folder of the repository', async () => {
    const inFolder = (last: string) =>
      Object.fromEntries(
        Object.entries(configuration(folder, { last })).map(([name, text]) => [`etc/granary/${name}`, text]),
      );
    origin.work.commit('moved', inFolder('24'));
    origin.work.git('branch', 'before');
    origin.work.commit('fewer', inFolder('2'));
    const path = join(origin.work.folder, 'etc/granary');
    const made = await granaryJson<Plan>(['plan', '--base', 'before', '--path', path]);
    expect(made.changes.map(({ name }) => name)).toEqual(['hourly']);
    const lines = await granary(['plan', '--base', 'before', '--path', 'etc/granary', '-o', 'github'], {
      cwd: origin.work.folder,
    });
    expect(lines.stdout).toContain('::warning file=etc/granary/policies/hourly.yaml,line=9,col=5,');
  });

  test('that is not there, is too far away, or has nothing in common', async () => {
    origin.work.commit('fewer', configuration(folder, { last: '12' }));
    origin.work.git('push', '--quiet', 'origin', 'feature');
    const shallow = origin.clone('shallow', 'feature', '--depth', '1', '--no-single-branch');
    const plan = (base: string) => granary(['plan', '--base', base], { cwd: shallow.folder });
    expectErrorText(await plan('origin/nope'), {
      code: 'git-ref-not-found',
      says: ['origin/nope'],
      hint: 'fetch-depth: 0',
    });
    expectErrorText(await plan('--help=x'), { code: 'git-ref-not-found', says: ['--help=x'], hint: 'fetch' });
    expectErrorText(await plan('origin/main'), {
      code: 'git-no-merge-base',
      says: ['origin/main', 'shallow'],
      hint: 'fetch-depth: 0',
    });
    origin.work.git('checkout', '--quiet', '--orphan', 'other');
    origin.work.commit('unrelated');
    const unrelated = await granary(['plan', '--base', 'main', '--path', origin.work.folder]);
    expectErrorText(unrelated, { code: 'git-no-merge-base', says: ['in common'], hint: '--base' });
  });

  test('that is invalid, or has no configuration yet: what is new is shown all the same', async () => {
    origin.work.commit('broken', { 'policies/hourly.yaml': 'broken: [' });
    origin.work.git('branch', 'broken');
    origin.work.commit('mended', configuration(folder));
    const made = await granaryJson<Plan>(['plan', '--base', 'broken', '--path', origin.work.folder]);
    expect(made.warnings[0]).toMatchObject({
      code: 'base-invalid',
      message: expect.stringContaining('policies/hourly.yaml:1'),
    });
    expect(made.changes.map(({ change, name }) => `${change} ${name}`)).toContain('add hourly');
    expect(consequencesOf(made)).toContain('backups begin: eu/a, eu/b');
  });
});

describe('--inventory', () => {
  const copies = [...hourly('a', '2026-11-21T14:00:00Z', 24), ...hourly('b', '2026-11-21T14:00:00Z', 24)];

  function save(part: Partial<InventoryFile> = {}): string {
    const inventory: InventoryFile = {
      formatVersion: 1,
      takenAt: '2026-11-21T14:03:00Z',
      repositoryId,
      seed: null,
      destinations: [read('one', copies, { url: `file://${join(folder, 'one')}` })],
      ...part,
    };
    const file = join(folder, 'inventory.json');
    writeFileSync(file, JSON.stringify(inventory, null, 2));
    return file;
  }
  const plan = (file: string, ...more: string[]) =>
    granary(['plan', '--base', 'main', '--path', origin.work.folder, '--inventory', file, ...more]);

  test('says how many backups go; one that is not in it is unknown and not empty', async () => {
    origin.work.commit('fewer', configuration(folder, { last: '12' }));
    const ran = await plan(save(), '-o', 'json');
    const made = JSON.parse(ran.stdout) as Plan;
    expect(consequencesOf(made)[0]).toMatch(
      /^24 copies \(.*\) that the rules kept until now go, after .* at the earliest/,
    );
    const moved = configuration(folder);
    moved['policies/hourly.yaml'] = moved['policies/hourly.yaml'].replace('[one]', '[one, two]');
    origin.work.commit('both', moved);
    const both = JSON.parse((await plan(save(), '-o', 'json')).stdout) as Plan;
    expect(codesOf(both)).toContain('destination-unknown');
  });

  test('by a URL, whose secret part is shown to nobody', async () => {
    const text = readFileSync(save());
    const server = await serve((request, response) => {
      if (request.url?.startsWith('/inventory.json')) response.end(text);
      else response.writeHead(404).end();
    });
    const at = (path: string) => `http://127.0.0.1:${server.port}${path}?signature=hidden`;
    expect((await plan(at('/inventory.json'))).code).toBe(0);
    const ran = await plan(at('/gone'));
    expect(ran.stderr).not.toContain('hidden');
    expectErrorText(ran, { code: 'file-unreadable', says: ['/gone', '404'], hint: 'granary inventory' });
    await server.close();
  });

  test('of another repository, of a newer format, of one seed, or none at all', async () => {
    expectErrorText(await plan(save({ repositoryId: '00000000-0000-4000-8000-000000000000' })), {
      code: 'inventory-invalid',
      says: ['another repository'],
      hint: 'granary inventory',
    });
    expectErrorText(await plan(save({ destinations: [read('else', [])] })), {
      code: 'inventory-invalid',
      says: ['none of the destinations'],
      hint: 'granary inventory',
    });
    expectErrorText(await plan(save({ formatVersion: 2 as 1 })), {
      code: 'format-too-new',
      says: ['format 2'],
      hint: 'newer Granary',
    });
    expectErrorText(await plan(save({ seed: 'eu' })), {
      code: 'usage',
      says: ['seed eu'],
      hint: '--seed eu',
    });
    expect((await plan(save({ seed: 'eu' }), '--seed', 'eu')).code).toBe(0);
    const file = save();
    for (const text of ['', '{}', '[1', '{"formatVersion":1,"destinations":[\n', 'null']) {
      writeFileSync(file, text);
      expectErrorText(await plan(file), {
        code: 'inventory-invalid',
        says: ['cannot be used'],
        hint: 'granary inventory',
      });
    }
  });

  test('is what `granary inventory` prints', async () => {
    const taken = await granary(['inventory', '--path', origin.work.folder]);
    const file = join(folder, 'taken.json');
    writeFileSync(file, taken.stdout);
    expect(JSON.parse(taken.stdout)).toMatchObject({ repositoryId, seed: null });
    expect((await plan(file)).code).toBe(0);
  });
});

describe('what was applied', () => {
  const suspended = (last: string) => configuration(folder, { last, more: '  suspend: true\n' });
  const apply = (path: string, ...more: string[]) => granary(['apply', '--path', path, ...more]);
  const recorded = () => JSON.parse(readFileSync(join(folder, 'one/seeds/eu/applied.json'), 'utf8'));

  test('is never replaced by an older commit, unless that is approved', async () => {
    origin.work.git('switch', '--quiet', 'main');
    const first = origin.work.commit('suspended', suspended('24'));
    const second = origin.work.commit('fewer', suspended('12'));
    expect((await apply(origin.work.folder)).code).toBe(0);
    expect(recorded()).toMatchObject({ commit: second, serial: 1 });
    origin.work.git('checkout', '--quiet', first);
    const refused = await apply(origin.work.folder);
    expect([refused.code, recorded().commit], refused.stderr).toEqual([3, second]);
    const [made] = [await granary(['plan', '--path', origin.work.folder, '-o', 'json'])];
    const plan = JSON.parse(made.stdout) as Plan;
    expect(codesOf(plan)).toContain('older-commit');
    expect((await apply(origin.work.folder, '--approve', plan.digest)).code).toBe(0);
    expect(recorded()).toMatchObject({ commit: first, serial: 2 });
  });

  test('of which a checkout knows nothing holds it back, and a repository is asked', async () => {
    origin.work.git('switch', '--quiet', 'main');
    origin.work.commit('suspended', suspended('24'));
    origin.work.git('push', '--quiet', 'origin', 'main');
    const behind = origin.clone('behind', 'main');
    const newer = origin.work.commit('fewer', suspended('12'));
    expect((await apply(origin.work.folder)).code).toBe(0);
    const unknown = await apply(behind.folder);
    expect([unknown.code, recorded().commit]).toEqual([3, newer]);
    expect(unknown.stdout).toContain('is not known here');
    // Set back after it was applied: the server still has what was applied.
    origin.work.git('push', '--quiet', 'origin', 'main', 'main:kept');
    origin.work.git('push', '--quiet', '--force', 'origin', 'main~1:main');
    const server = await serve(gitOverHttp(folder, 'granary', 'secret'));
    const url = `http://granary:secret@127.0.0.1:${server.port}/origin.git`;
    const made = await granary(['plan', '--repo', url, '-o', 'json']);
    await server.close();
    expect([made.code, codesOf(JSON.parse(made.stdout))]).toEqual([3, ['older-commit']]);
    expect(made.stdout).toContain('is older than');
  });

  test('by another repository is not touched', async () => {
    origin.work.commit('suspended', suspended('24'));
    await apply(origin.work.folder);
    const files = suspended('24');
    files['repository.yaml'] = files['repository.yaml'].replace(
      repositoryId,
      '00000000-0000-4000-8000-000000000000',
    );
    origin.work.commit('foreign', files);
    const refused = await apply(origin.work.folder);
    expect([refused.code, recorded().repositoryId]).toEqual([3, repositoryId]);
    expect(refused.stdout).toContain('is served from another repository');
  });
});

describe('a saved plan', () => {
  test('is carried out while it holds, and refused with exit code 3 when the commit has moved', async () => {
    const suspended = (last: string) => configuration(folder, { last, more: '  suspend: true\n' });
    origin.work.commit('suspended', suspended('24'));
    const file = join(folder, 'plan.json');
    const at = ['--path', origin.work.folder];
    const saved = await granary(['plan', ...at, '--out', file]);
    expect(saved.code, saved.stderr).toBe(0);
    expect((await granary(['apply', ...at, '--plan', file])).code).toBe(0);
    origin.work.commit('fewer', suspended('12'));
    expectErrorText(await granary(['apply', ...at, '--plan', file]), {
      code: 'plan-stale',
      says: ['seed eu', 'stale'],
      hint: 'granary plan --out',
      exit: 3,
    });
    const plan = JSON.parse(readFileSync(file, 'utf8'));
    const refusal = async (value: unknown, says: string) => {
      writeFileSync(file, JSON.stringify(value));
      const code = says.includes('format') ? 'format-too-new' : 'plan-invalid';
      const hint = says.includes('format') ? 'newer Granary' : 'granary plan --out';
      expectErrorText(await granary(['apply', ...at, '--plan', file]), { code, says: [says], hint });
    };
    await refusal({ ...plan, formatVersion: 2 }, 'format 2');
    await refusal({ ...plan, changes: plan.changes.slice(1) }, 'changed after it was made');
    await refusal({ some: 'thing' }, 'cannot be used');
  });
});
