/** `ls`, `cat` and `diff`: into a file, a backup that is encrypted, and nothing but a bucket. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { entry } from './entry.ts';
import { Fleet, freshSecret } from './fleet.ts';
import { expectFailure, granary, granaryJson, plant } from './granary.ts';

interface Listed {
  readonly items: readonly Record<string, unknown>[];
  readonly revision: number;
  readonly keys: number;
  readonly hidden: number;
}

describeWith(['etcd-3.6', 'sops'], 'looking inside', () => {
  let etcd: EtcdServer;
  let fleet: Fleet;
  /** Two backups, and the second as a file. */
  let before: string;
  let after: string;
  let file: string;
  /** Planted: no output may show it. */
  let secret: string;

  const backup = async () => {
    const { results } = await granaryJson<{ results: { id: string }[] }>(
      ['backup', 'eu/prod', ...fleet.opened],
      {
        env: fleet.env,
      },
    );
    return results[0]?.id ?? '';
  };

  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    secret = freshSecret();
    await etcd.etcdctl('put', '/registry/secrets/shop/db', plant(secret));
    await etcd.etcdctl('put', '/registry/pods/shop/web-1', '{"kind":"Pod","port":80}');
    await etcd.etcdctl('put', '/app/gone', 'here');
    await etcd.etcdctl('put', '/app/same', 'same');
    fleet = await Fleet.make({ endpoints: etcd.endpoints });
    fleet.writePolicy('hourly', { destinations: ['local'], encryption: { recipients: [fleet.recipient] } });
    before = await backup();
    await etcd.etcdctl('put', '/registry/pods/shop/web-1', '{"kind":"Pod","port":8080}');
    await etcd.etcdctl('del', '/app/gone');
    await etcd.etcdctl('put', '/app/same', 'same');
    await etcd.etcdctl('put', '/app/new', 'a\u001b[31mb');
    after = await backup();
    file = fleet.folder.join('after.db');
    await granary(['restore', after, '--to', file, ...fleet.opened], { env: fleet.env });
  });
  afterAll(async () => {
    await etcd.stop();
    fleet[Symbol.dispose]();
  });

  const run = (...args: string[]) => granary([...args, ...fleet.opened], { env: fleet.env });

  test('ls reads keys of Kubernetes, says which backup it is, and shows no value', async () => {
    const ran = await run('ls', 'eu/prod');
    expect(ran.stderr).toMatch(new RegExp(`^found +${after}, .*\n4 keys at revision 9\n$`, 's'));
    expect(ran.stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['REVISION', 'SIZE', 'KIND', 'NAMESPACE', 'NAME', 'KEY'],
      ['9', '7 B', '/app/new'],
      ['8', '4 B', '/app/same'],
      ['6', '26 B', 'Pod', 'shop', 'web-1', '/registry/pods/shop/web-1'],
      ['2', `${secret.length} B`, 'Secret', 'shop', 'db', '/registry/secrets/shop/db'],
      [''],
    ]);
    expect(fleet.leftInTemp()).toEqual([]);
  });

  test('ls at a revision, with a prefix and a limit, of a file and of a bucket alone', async () => {
    const wanted = ['/app/', '--at-revision', '5', '--limit', '1'];
    const url = `file://${fleet.folder.join('local')}`;
    const ways = [
      [file, ...wanted],
      ['eu/prod', ...wanted, '--from', url, '--age-key-file', fleet.keyFile],
    ];
    for (const words of ways) {
      const listed = await granaryJson<Listed>(['ls', ...words], { env: fleet.env });
      expect(listed).toMatchObject({ revision: 5, keys: 2, hidden: 1 });
      expect(listed.items).toEqual([
        {
          ...{ key: '/app/gone', createRevision: 4, modRevision: 4, version: 1 },
          ...{ lease: null, valueBytes: 4, kubernetes: null },
        },
      ]);
    }
    expect((await granary(['ls', file, '/none'])).stdout).toBe('');
    expect((await granary(['ls', '-'], { env: fleet.env, input: readFileSync(file) })).stderr).toContain(
      '4 keys',
    );
  });

  test('cat shows one value: as people read it, as programs do, and as it is', async () => {
    const pod = '/registry/pods/shop/web-1';
    const shown = await run('cat', after, pod);
    expect(shown.stdout).toBe('{\n  "kind": "Pod",\n  "port": 8080\n}\n');
    expect(shown.stderr).toContain('Pod shop/web-1, revision 6, written 2 times');
    expect((await granary(['cat', file, pod, '--at-revision', '5', '--raw'])).stdout).toBe(
      '{"kind":"Pod","port":80}',
    );
    expect((await granary(['cat', file, '/app/new'])).stdout).toBe('a\\x1b[31mb\n');
    expect((await granary(['cat', file, '/app/new', '--raw'])).stdout).toBe('a\u001b[31mb');
    const key = Buffer.from('/app/new').toString('base64');
    const json = await granaryJson<object>(['cat', file, key, '--base64']);
    expect(json).toMatchObject({ key: '/app/new', modRevision: 9, form: 'text', value: 'a\u001b[31mb' });
  });

  test('diff counts by prefix, names keys, and shows values only when it is told to', async () => {
    const ran = await run('diff', before, after);
    expect(ran.stdout).toBe(
      [
        'ADDED  CHANGED  REMOVED  PREFIX',
        '    1        0        1  /app/',
        '    0        1        0  /registry/pods/',
        '',
        '- /app/gone',
        '+ /app/new',
        '~ /registry/pods/shop/web-1  revision 3 -> 6, 24 B -> 26 B',
        '',
        '1 added, 1 changed, 1 removed, 2 unchanged, from revision 5 to 9.',
        '',
      ].join('\n'),
    );
    expect(ran.code).toBe(0);
    const values = await granary([
      'diff',
      file,
      file,
      '--at-revision-a',
      '5',
      '--values',
      '--detailed-exitcode',
    ]);
    expect(values.code).toBe(2);
    expect(values.stdout).toContain('- /app/gone\n    -here\n+ /app/new\n    +a\\x1b[31mb\n');
    expect(values.stdout).toContain(
      '     {\n       "kind": "Pod",\n    -  "port": 80\n    +  "port": 8080\n     }\n',
    );
    const same = await granary(['diff', file, file, '--detailed-exitcode']);
    expect([same.code, same.stdout]).toEqual([
      0,
      '0 added, 0 changed, 0 removed, 4 unchanged, from revision 9 to 9.\n',
    ]);
    const json = await granaryJson<Listed>(['diff', file, file, '/app/', '--at-revision-b', '5']);
    expect(json).toMatchObject({
      items: [
        { change: 'added', key: '/app/gone', before: null, after: { modRevision: 4, valueBytes: 4 } },
        { change: 'removed', key: '/app/new', after: null },
      ],
      revisions: { a: 9, b: 5 },
      summary: { added: 1, changed: 0, removed: 1, unchanged: 1 },
      prefixes: [{ prefix: '/app/', added: 1, changed: 0, removed: 1 }],
    });
  });

  test('whoever has seen enough of a list ends it without an error', async () => {
    const child = spawn(process.execPath, [entry, 'ls', file], { stdio: 'pipe' });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect([code, stderr]).toEqual([0, '4 keys at revision 9\n']);
  });

  test('what is asked wrongly, and what is not there', async () => {
    const none = { code: 'key-not-found', says: ['/app/none', 'revision 9'], hint: 'granary ls' } as const;
    await expectFailure(['cat', file, '/app/none'], none);
    await expectFailure(['cat', file, '/app/gone'], {
      ...none,
      ...{ says: ['/app/gone'], hint: 'revision 7 deleted it: --at-revision 6' },
    });
    await expectFailure(['ls', file, '--at-revision', '10'], {
      ...{ code: 'usage', says: ['10', 'ends at 9'], hint: 'earlier' },
    });
    await expectFailure(['ls', file, '--at-revision', '0'], {
      code: 'usage',
      says: ['`0`'],
      hint: 'whole number',
    });
    await expectFailure(['ls', 'missing.db'], {
      code: 'file-unreadable',
      says: ['missing.db'],
      hint: 'SEED/CLUSTER',
    });
    await expectFailure(['diff', file, fleet.keyFile], {
      code: 'snapshot-corrupt',
      says: [],
      hint: 'snapshot',
    });
    await expectFailure(
      ['ls', after, ...fleet.source],
      { code: 'age-key-missing', says: [after], hint: 'age' },
      {
        env: fleet.env,
      },
    );
    const both = await granary(['cat', file, '/app/new', '--raw', '-o', 'json']);
    expect([both.code, both.stdout]).toEqual([1, '']);
  });
});
