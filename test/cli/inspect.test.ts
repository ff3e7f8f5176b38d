/** `inspect` of a file, of stdin, and of a backup, at any revision that is in it. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Gateway } from '../bolt/gateway.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { entry } from './entry.ts';
import { Fleet } from './fleet.ts';
import { expectFailure, granary } from './granary.ts';

describeWith(['etcd-3.6'], 'inspect', () => {
  let etcd: EtcdServer;
  let fleet: Fleet;
  let file: string;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    fleet = await Fleet.make({ endpoints: etcd.endpoints });
    for (let n = 0; n < 9; n++) await etcd.etcdctl('put', `/registry/${n}`, `value ${n}`);
    for (let n = 0; n < 4; n++) await etcd.etcdctl('del', `/registry/${n}`);
    await etcd.etcdctl('compact', '5', '--physical');
    file = fleet.folder.join('snapshot.db');
    await etcd.etcdctl('snapshot', 'save', file);
  });
  afterAll(async () => {
    expect(fleet?.leftInTemp()).toEqual([]);
    fleet?.[Symbol.dispose]();
    await etcd?.stop();
  });

  const options = () => ({ env: fleet.env });
  const json = async (...args: string[]) =>
    JSON.parse((await granary(['inspect', ...args, '-o', 'json', ...fleet.source], options())).stdout);
  /** As a shell pipes it. */
  const piped = (bytes: Uint8Array, ...args: string[]) => {
    const words = [entry, 'inspect', '-', ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, words, {
      input: bytes,
      env: { PATH: process.env.PATH, ...fleet.env },
    });
    return { code: status, stdout: stdout.toString(), stderr: stderr.toString() };
  };

  test('a file, the same from stdin, and a backup of the same content agree', async () => {
    const ofFile = await json(file);
    expect(ofFile).toMatchObject({ trailer: 'ok', problems: [], revision: 14, compactRevision: 5, keys: 5 });
    expect(JSON.parse(piped(readFileSync(file), '-o', 'json').stdout)).toEqual(ofFile);
    expect((await granary(['backup', 'eu/prod', ...fleet.source], options())).code).toBe(0);
    const { hashKV, keys } = await json('eu/prod');
    expect({ hashKV, keys }).toEqual({ hashKV: ofFile.hashKV, keys: 5 });
  });

  test('--revision gives HashKV and live keys there, as the server has them', async () => {
    const server = new Gateway(etcd.endpoints[0] ?? '');
    for (const revision of [6, 10, 12, 14]) {
      const { hash } = (await server.hashKV(revision)) ?? expect.fail('it is compacted');
      const keys = Math.min(revision - 1, 9) - Math.max(0, revision - 10);
      for (const what of [file, 'eu/prod']) {
        const report = await json(what, '--revision', String(revision));
        expect(report).toMatchObject({ keys, revision: 14, hashKV: { hash, revision, compactRevision: 5 } });
      }
    }
    expect(JSON.parse(piped(readFileSync(file), '--revision', '10', '-o', 'json').stdout).keys).toBe(9);
    const text = await granary(['inspect', file, '--revision', '10'], options());
    expect(text.stdout).toContain('keys       9 live at revision 10, in ');
  });

  test('a revision that is not in it, and one that is none, are said', async () => {
    await expectFailure(['inspect', file, '--revision', '15'], {
      code: 'usage',
      says: ['the snapshot ends at revision 14, before 15'],
      hint: 'up to 14',
    });
    await expectFailure(['inspect', file, '--revision', '4'], {
      code: 'revision-compacted',
      says: ['revision 4 is gone: the snapshot is compacted to 5'],
      hint: 'from 5 to 14',
    });
    for (const revision of ['0', '-3', '1e3', 'newest'])
      await expectFailure(['inspect', file, `--revision=${revision}`], {
        code: 'usage',
        says: [`\`${revision}\` is no revision`],
        hint: 'a whole number',
      });
  });

  test('what is cut off, changed or nothing at all is damaged, wherever it comes from', () => {
    const bytes = readFileSync(file);
    const cut = piped(bytes.subarray(0, -40));
    expect([cut.code, cut.stdout]).toEqual([1, expect.stringContaining('it was cut off')]);
    const changed = Buffer.from(bytes);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    expect(piped(changed, '-o', 'json')).toMatchObject({ code: 1, stdout: expect.stringContaining('"bad"') });
    const empty = piped(Buffer.alloc(0), '--revision', '3');
    expect([empty.code, empty.stdout]).toEqual([1, expect.stringContaining('not an etcd database')]);
  });
});
