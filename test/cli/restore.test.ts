/** Backups that were damaged where they lie, and targets that cannot be written: restore and verify. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { Fleet } from './fleet.ts';
import { SmallDisk, whyNoSmallDisk } from './full-disk.ts';
import { expectFailure, filesIn, granary, granaryJson, plant } from './granary.ts';

const noDisk = whyNoSmallDisk();
const skippedDisk = noDisk === null ? '' : ` (skipped: ${noDisk})`;

describeWith(['etcd-3.6'], 'a backup', () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    await fillEtcd(etcd, { keys: 500, valueBytes: 8_000 });
  });
  afterAll(() => etcd.stop());

  let fleet: Fleet;
  afterEach(() => fleet[Symbol.dispose]());

  let id: string;
  let target: string;

  /** A fleet with these destinations, and one backup in all of them. */
  async function prepare(names: readonly string[], policy: object = {}): Promise<void> {
    fleet = await Fleet.make({ endpoints: etcd.endpoints, destinations: {} });
    for (const name of names) fleet.write('Destination', name, fleet.local(name));
    fleet.writePolicy('hourly', { destinations: names, ...policy });
    const { results } = await granaryJson<{ results: { id: string }[] }>(
      ['backup', 'eu/prod', ...fleet.opened],
      {
        env: fleet.env,
      },
    );
    id = results[0]?.id ?? '';
    mkdirSync(fleet.folder.join('out'));
    target = fleet.folder.join('out', 'prod.db');
  }

  /** Files of the backup in a destination: its data, its manifest. */
  function fileOf(name: string, what: 'data' | 'manifest', backup = id): string {
    const folder = fleet.folder.join(name, 'clusters', backup);
    const file = readdirSync(folder).find((each) => each.startsWith(`${what}-`) || each === `${what}.json`);
    return join(folder, file ?? '');
  }

  const restore = () => ['restore', id, '--to', target, ...fleet.opened];

  /** Nothing beside the target, nothing in the temporary folder, no lease, and what there was is still there. */
  function expectNothingLeft(): void {
    expect(readdirSync(dirname(target))).toEqual([]);
    expect(fleet.leftInTemp()).toEqual([]);
    expect(filesIn(fleet.folder.path).filter((file) => file.includes('/leases/'))).toEqual([]);
  }

  test('of a seed that Git no longer names is still found and restored', async () => {
    await prepare(['one']);
    fleet.remove('seed-eu.yaml');
    const { code, stderr } = await granary(restore(), { env: fleet.env });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(existsSync(target)).toBe(true);
  });

  type Damage = [name: string, says: string, harm: (destination: string) => void | Promise<void>];
  const damages: Damage[] = [
    ['whose data were cut', 'bytes', (name) => truncateSync(fileOf(name, 'data'), 100_000)],
    ['whose data are empty', 'bytes', (name) => truncateSync(fileOf(name, 'data'), 0)],
    [
      'with one bit turned',
      'is not what was written',
      (name) => {
        const file = fileOf(name, 'data');
        const bytes = readFileSync(file);
        const middle = bytes.length >> 1;
        bytes[middle] = (bytes[middle] ?? 0) ^ 1;
        writeFileSync(file, bytes);
      },
    ],
    [
      'with the last bit turned',
      'is not what was written',
      (name) => {
        const file = fileOf(name, 'data');
        const bytes = readFileSync(file);
        bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
        writeFileSync(file, bytes);
      },
    ],
    [
      'whose data are those of another backup',
      'is not what was written',
      async (name) => {
        await etcd.etcdctl('put', 'another', 'state');
        const { results } = await granaryJson<{ results: { id: string }[] }>(
          ['backup', 'eu/prod', '--destination', name, ...fleet.opened],
          { env: fleet.env },
        );
        copyFileSync(fileOf(name, 'data', results[0]?.id), fileOf(name, 'data'));
      },
    ],
  ];

  test.each(damages)(
    '%s: not restored, but from its other copy; verify proves it bad',
    async (_, says, harm) => {
      await prepare(['one', 'two']);
      await harm('one');
      await expectFailure(
        ['restore', `${id}@one`, '--to', target, ...fleet.opened],
        { code: 'backup-damaged', says: [id, 'on one', says], hint: 'granary verify' },
        { env: fleet.env, inTurn: true },
      );
      expectNothingLeft();

      const restored = await granary(restore(), { env: fleet.env });
      expect(restored).toMatchObject({ code: 0, stdout: expect.stringContaining(`written    ${target}\n`) });
      expect(restored.stderr).toMatch(/^warning: .*\bon one\b/m);
      expect(restored.stderr).toMatch(/^read {7}.* from two /m);
      expect(readdirSync(dirname(target))).toEqual(['prod.db']);

      const [all, only] = [
        await granary(['verify', id, ...fleet.opened, '-o', 'json'], { env: fleet.env }),
        await granary(['verify', `${id}@one`, ...fleet.opened], { env: fleet.env }),
      ];
      expect(all.code).toBe(4);
      const { items } = JSON.parse(all.stdout) as { items: { destination: string; outcome: string }[] };
      expect(items.map(({ destination, outcome }) => `${destination} ${outcome}`).sort()).toEqual([
        'one failed',
        'two ok',
      ]);
      expect(only).toMatchObject({ code: 1, stdout: expect.stringContaining(`FAIL  ${id}@one`) });
      expect(only.stderr).toContain('hint: ');
      expect(only.stderr).toContain('0 of 1 copies are sound');
      const proofs = (name: string) => fleet.stored(name).filter((file) => /proof-.*-read-/.test(file));
      expect(proofs('one').length).toBeGreaterThan(0);
      for (const proof of proofs('one')) expect(proof).toMatch(/-bad\.json$/);
      for (const proof of proofs('two')) expect(proof).toMatch(/-ok\.json$/);
      expect(fleet.leftInTemp()).toEqual([]);
    },
  );

  test('that is bad is named also when an older one is verified or drilled in its place', async () => {
    await prepare(['one']);
    const older = id;
    const newer = await granaryJson<{ results: { id: string }[] }>(['backup', 'eu/prod', ...fleet.opened], {
      env: fleet.env,
    });
    id = newer.results[0]?.id ?? '';
    truncateSync(fileOf('one', 'data'), 1_000);
    const etcdFile = requireTool('etcd-3.6', 'etcd');
    for (const words of [[], ['--drill', '--etcd', etcdFile]]) {
      const ran = await granary(['verify', 'eu/prod', ...words, ...fleet.opened], { env: fleet.env });
      expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining(`ok    ${older}`) });
      expect(ran.stderr).toMatch(new RegExp(`^warning: passed over ${id}: .*its data have 1,000 bytes`, 'm'));
    }
  });

  test('whose data are gone is told by its name, and not by a key alone', async () => {
    await prepare(['one']);
    rmSync(fileOf('one', 'data'));
    await expectFailure(
      restore(),
      { code: 'object-missing', says: [`the data of ${id} on one are missing`], hint: 'another copy' },
      { env: fleet.env },
    );
    expectNothingLeft();
  });

  describe('with a manifest that is', () => {
    const garbage: [string, (manifest: string) => string][] = [
      ['no JSON', () => 'garbage'],
      ['empty', () => ''],
      ['cut', (text) => text.slice(0, text.length >> 1)],
      ['of another cluster', (text) => text.replace('"cluster": "prod"', '"cluster": "test"')],
      ['too large', (text) => text + ' '.repeat(300_000)],
    ];

    test.each(garbage)('%s: not restored, but from its other copy', async (_, change) => {
      await prepare(['one', 'two']);
      const file = fileOf('one', 'manifest');
      writeFileSync(file, change(readFileSync(file, 'utf8')));
      await expectFailure(
        ['restore', `${id}@one`, '--to', target, ...fleet.opened],
        { code: 'manifest-invalid', says: ['destination one', 'manifest'], hint: 'granary verify' },
        { env: fleet.env },
      );
      expectNothingLeft();
      const restored = await granary(restore(), { env: fleet.env });
      expect(restored).toMatchObject({ code: 0, stdout: expect.stringContaining(`written    ${target}\n`) });
      expect(restored.stderr).toMatch(/^warning: .*\bone\b/m);
      expect(restored.stderr).toMatch(/^read {7}.* from two /m);
      const verified = await granary(['verify', id, `${id}@one`, ...fleet.opened], { env: fleet.env });
      expect(verified.code).toBe(4);
      expect(verified.stdout.match(/^FAIL .*one/gm)).toHaveLength(2);
      expect(verified.stdout).toContain(`ok    ${id}@two`);
    });

    /** Another backup of the same cluster, in the same destination. */
    async function anotherBackup(destination: string): Promise<string> {
      await etcd.etcdctl('put', 'another', crypto.randomUUID());
      const { results } = await granaryJson<{ results: { id: string }[] }>(
        ['backup', 'eu/prod', '--destination', destination, ...fleet.opened],
        { env: fleet.env },
      );
      return results[0]?.id ?? '';
    }

    test('that of another backup, with or without its data: it is known for what it is', async () => {
      await prepare(['one', 'two']);
      const other = await anotherBackup('one');
      const only = ['restore', `${id}@one`, '--to', target, ...fleet.opened];
      const says = ['destination one', 'it was moved or copied here from elsewhere'];
      const expected = { code: 'manifest-invalid', says, hint: 'granary verify' } as const;
      copyFileSync(fileOf('one', 'manifest', other), fileOf('one', 'manifest'));
      await expectFailure(only, expected, { env: fleet.env });
      // With its data too it is whole, and still not the backup that was asked for.
      const data = fileOf('one', 'data', other);
      copyFileSync(data, join(dirname(fileOf('one', 'manifest')), basename(data)));
      await expectFailure(only, expected, { env: fleet.env });
      // One that says the right place names data of an attempt that is not its own.
      const right = readFileSync(fileOf('two', 'manifest'), 'utf8');
      const { attempt } = JSON.parse(right) as { attempt: string };
      const foreign = readFileSync(fileOf('one', 'manifest', other), 'utf8');
      const slotOf = (name: string) => name.split('/')[3] ?? '';
      const moved = foreign
        .replaceAll(slotOf(other), slotOf(id))
        .replace(/"attempt": "\w+"/, `"attempt": "${attempt}"`);
      writeFileSync(fileOf('one', 'manifest'), moved);
      await expectFailure(
        only,
        { code: 'manifest-invalid', says: ['destination one', 'of another attempt'], hint: 'granary verify' },
        { env: fleet.env },
      );
      expectNothingLeft();
      const restored = await granary(restore(), { env: fleet.env });
      expect(restored.stderr).toMatch(/^read {7}.* from two /m);
    });

    interface Written {
      readonly etcd: Record<string, number>;
      readonly snapshot: Record<string, unknown>;
      readonly hashKV: Record<string, number>;
      readonly data: Record<string, unknown>;
    }
    const tampered: [string, (manifest: Written) => void][] = [
      ['another hash of the stored bytes', ({ data }) => Object.assign(data, { sha256: 'a'.repeat(64) })],
      ['another size of the stored bytes', ({ data }) => Object.assign(data, { storedBytes: 4_096 })],
      ['another hash of the snapshot', ({ snapshot }) => Object.assign(snapshot, { sha256: 'a'.repeat(64) })],
      ['another size of the snapshot', ({ snapshot }) => Object.assign(snapshot, { size: 8_192 })],
      ['another HashKV', ({ hashKV }) => Object.assign(hashKV, { hash: (hashKV.hash ?? 0) ^ 1 })],
      ['another revision', ({ etcd: said }) => Object.assign(said, { revision: (said.revision ?? 0) + 1 })],
      ['fewer keys', ({ etcd: said }) => Object.assign(said, { keys: (said.keys ?? 0) - 1 })],
    ];
    test.each(tampered)('one that was told %s: not restored, but from its other copy', async (_, change) => {
      await prepare(['one', 'two']);
      const file = fileOf('one', 'manifest');
      const manifest = JSON.parse(readFileSync(file, 'utf8')) as Written;
      change(manifest);
      writeFileSync(file, JSON.stringify(manifest));
      const only = await granary(['restore', `${id}@one`, '--to', target, ...fleet.opened], {
        env: fleet.env,
      });
      expect(only.code).toBe(1);
      expect(only.stderr).toMatch(/^error: .*\bone\b/m);
      expectNothingLeft();
      const verified = await granary(['verify', `${id}@one`, ...fleet.opened], { env: fleet.env });
      expect(verified.stdout).toMatch(/^FAIL .*one/m);
      // Two manifests of one attempt differ: which of them is right is shown by the bytes.
      const restored = await granary(restore(), { env: fleet.env });
      expect(restored).toMatchObject({ code: 0, stdout: expect.stringContaining(`written    ${target}\n`) });
      expect(restored.stderr).toMatch(/^read {7}.* from two /m);
    });

    test('of a later format: a newer Granary is asked for', async () => {
      await prepare(['one']);
      const file = fileOf('one', 'manifest');
      writeFileSync(file, readFileSync(file, 'utf8').replace('"format": 1', '"format": 2'));
      await expectFailure(
        restore(),
        { code: 'format-too-new', says: ['format 2'], hint: 'a newer Granary' },
        { env: fleet.env },
      );
    });
  });

  describe('that is sound', () => {
    beforeEach(() => prepare(['one']));

    test('is not written over a file that is there', async () => {
      writeFileSync(target, 'mine');
      await expectFailure(
        restore(),
        { code: 'target-exists', says: [target, 'exists already'], hint: 'name a file that does not exist' },
        { env: fleet.env },
      );
      expect(readFileSync(target, 'utf8')).toBe('mine');
      expect(readdirSync(dirname(target))).toEqual(['prod.db']);
    });

    test('is not written in place of a link that leads nowhere, and nothing is read for that', async () => {
      symlinkSync('nowhere', target);
      const data = fileOf('one', 'data');
      writeFileSync(data, Buffer.alloc(statSync(data).size));
      await expectFailure(
        restore(),
        { code: 'target-exists', says: [target, 'exists already'], hint: 'name a file that does not exist' },
        { env: fleet.env },
      );
      expect(readdirSync(dirname(target))).toEqual(['prod.db']);
    });

    test('is not written into a folder that does not exist', async () => {
      target = fleet.folder.join('nowhere', 'prod.db');
      await expectFailure(
        restore(),
        {
          code: 'target-unwritable',
          says: [fleet.folder.join('nowhere'), 'does not exist'],
          hint: `make the folder with mkdir -p ${fleet.folder.join('nowhere')}, `,
        },
        { env: fleet.env },
      );
      expect(existsSync(fleet.folder.join('nowhere'))).toBe(false);
    });

    test('is not written below a file', async () => {
      writeFileSync(fleet.folder.join('file'), '');
      target = fleet.folder.join('file', 'prod.db');
      await expectFailure(
        restore(),
        { code: 'target-unwritable', says: [target, 'its folder is a file'], hint: 'somewhere else' },
        { env: fleet.env },
      );
    });

    test.skipIf(process.getuid?.() !== 0)('is not written where this user may not write', async () => {
      const nobody = 65_534;
      for (const path of filesIn(fleet.folder.path).flatMap((file) => [file, ...parentsOf(file)]))
        chmodSync(fleet.folder.join(path), 0o755);
      for (const path of ['.', 'out', 'local', 'tmp']) chmodSync(fleet.folder.join(path), 0o755);
      chmodSync(fleet.temp, 0o777);
      await expectFailure(
        ['restore', id, '--to', target, ...fleet.source],
        {
          code: 'target-unwritable',
          says: [target, 'its folder cannot be written to'],
          hint: 'run it as a user who may write there',
        },
        { env: fleet.env, uid: nobody },
      );
      expectNothingLeft();
    });

    test.skipIf(noDisk !== null)(`is not written to a disk that can only be read${skippedDisk}`, async () => {
      using disk = new SmallDisk(40);
      disk.makeReadOnly();
      target = join(disk.path, 'prod.db');
      await expectFailure(
        restore(),
        {
          code: 'target-unwritable',
          says: [target, 'its disk can only be read'],
          hint: 'mount it for writing',
        },
        { env: fleet.env },
      );
    });

    test.skipIf(noDisk !== null)(`is not written to a disk without room${skippedDisk}`, async () => {
      using disk = new SmallDisk(2);
      target = join(disk.path, 'prod.db');
      await expectFailure(
        restore(),
        { code: 'disk-full', says: [disk.path, '2.0 MiB free'], hint: 'larger disk' },
        { env: fleet.env },
      );
      expect(readdirSync(disk.path)).toEqual([]);
    });

    test('that is not there gives the nearest that is', async () => {
      await expectFailure(
        ['restore', 'eu/prod/manual/20200101T000000Z', '--to', target, ...fleet.opened],
        { code: 'backup-not-found', says: ['eu/prod/manual/20200101T000000Z'], hint: id },
        { env: fleet.env },
      );
      await expectFailure(
        ['restore', 'eu/prod', '--at', '2020-01-01T00:00:00Z', '--to', target, ...fleet.opened],
        { code: 'backup-not-found', says: ['2020-01-01 00:00 UTC'], hint: id },
        { env: fleet.env },
      );
      expectNothingLeft();
    });

    test('one named twice or wrongly is a result like any other', async () => {
      const missing = 'eu/prod/manual/20200101T000000Z';
      const verified = await granary(['verify', id, missing, ...fleet.opened], { env: fleet.env });
      expect(verified.code).toBe(4);
      expect(verified.stdout).toContain(`ok    ${id}@one`);
      expect(verified.stdout).toContain(`FAIL  ${missing}`);
    });
  });

  describe('that is encrypted', () => {
    test('needs a private key, the right one; without it verify looks at the stored bytes only', async () => {
      const mine = plant(await generateX25519Identity());
      await prepare(['one'], { encryption: { recipients: [await identityToRecipient(mine)] } });
      const keyFile = fleet.folder.join('mine.key');
      writeFileSync(keyFile, `${mine}\n`, { mode: 0o600 });
      const base = ['restore', id, '--to', target, ...fleet.source];
      await expectFailure(
        base,
        { code: 'age-key-missing', says: ['encrypted'], hint: '--age-key-file' },
        { env: fleet.env },
      );
      await expectFailure(
        [...base, '--age-key-file', fleet.keyFile],
        { code: 'age-key-wrong', says: [id], hint: await identityToRecipient(mine) },
        { env: fleet.env },
      );
      expectNothingLeft();
      const shallow = await granary(['verify', id, ...fleet.source], { env: fleet.env });
      expect(shallow).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('no private key, so not opened'),
      });
      const opened = await granary([...base, '--age-key-file', keyFile], { env: fleet.env });
      expect(opened).toMatchObject({ code: 0, stdout: expect.stringContaining(`written    ${target}\n`) });
    });
  });

  test('of before a change of keys opens with the key of then, and with both at hand every one does', async () => {
    const [old, fresh] = [plant(await generateX25519Identity()), plant(await generateX25519Identity())];
    await prepare(['one'], { encryption: { recipients: [await identityToRecipient(old)] } });
    const before = id;
    fleet.writePolicy('hourly', {
      destinations: ['one'],
      encryption: { recipients: [await identityToRecipient(fresh)] },
    });
    const { results } = await granaryJson<{ results: { id: string }[] }>(
      ['backup', 'eu/prod', ...fleet.opened],
      { env: fleet.env },
    );
    const after = results[0]?.id ?? '';
    const keyFile = (name: string, ...keys: string[]) => {
      const path = fleet.folder.join(name);
      writeFileSync(path, `${keys.join('\n')}\n`, { mode: 0o600 });
      return ['--age-key-file', path];
    };
    const base = (name: string) => ['restore', name, '--to', target, ...fleet.source];
    // Whoever has put the new key in place of the old one is told which key is missing.
    await expectFailure(
      [...base(before), ...keyFile('fresh.key', fresh)],
      { code: 'age-key-wrong', says: [before], hint: await identityToRecipient(old) },
      { env: fleet.env },
    );
    await expectFailure(
      [...base(after), ...keyFile('old.key', old)],
      { code: 'age-key-wrong', says: [after], hint: await identityToRecipient(fresh) },
      { env: fleet.env },
    );
    expectNothingLeft();
    for (const name of [before, after]) {
      const opened = await granary([...base(name), ...keyFile('both.key', fresh, old)], { env: fleet.env });
      expect(opened).toMatchObject({ code: 0, stdout: expect.stringContaining(`written    ${target}\n`) });
      rmSync(target);
    }
    const verified = await granary(
      ['verify', before, after, ...fleet.source, ...keyFile('fresh.key', fresh)],
      {
        env: fleet.env,
      },
    );
    // One that cannot be opened is not bad, and is not said to be sound.
    expect(verified.stdout).toContain(`ok    ${after}@one`);
    expect(verified.stdout).not.toMatch(new RegExp(`^ok .*${before}.*HashKV`, 'm'));
  });

  describeWith(['age', 'ssh', 'zstd'], 'that is encrypted for an SSH key', () => {
    test('opens with it, also by age alone; a locked key is refused at once', async () => {
      const keys = tempFolder('ssh-backup');
      const make = (name: string, passphrase: string) => {
        const args = ['-q', '-t', 'ed25519', '-N', passphrase, '-C', 'me @ host', '-f', keys.join(name)];
        execFileSync(requireTool('ssh', 'ssh-keygen'), args);
        return readFileSync(keys.join(`${name}.pub`), 'utf8').trim();
      };
      try {
        const mine = make('id_ed25519', '');
        make('locked', 'a passphrase');
        const other = await identityToRecipient(plant(await generateX25519Identity()));
        await prepare(['one'], { encryption: { recipients: [other, mine] } });
        const manifest = JSON.parse(readFileSync(fileOf('one', 'manifest'), 'utf8'));
        expect(manifest.data.recipients).toEqual([other, mine.split(' ', 2).join(' ')]);

        const base = ['restore', id, '--to', target, ...fleet.source, '--age-key-file'];
        await expectFailure(
          [...base, keys.join('locked')],
          { code: 'age-key-invalid', says: [keys.join('locked'), 'passphrase'], hint: 'ssh-keygen' },
          { env: fleet.env },
        );
        expectNothingLeft();
        const opened = await granary([...base, keys.join('id_ed25519')], { env: fleet.env });
        expect(opened).toMatchObject({ code: 0, stdout: expect.stringContaining(`written    ${target}\n`) });
        const verified = await granary(
          ['verify', id, ...fleet.source, '--age-key-file', keys.join('id_ed25519')],
          { env: fleet.env },
        );
        expect(verified).toMatchObject({ code: 0, stdout: expect.not.stringContaining('not opened') });

        const byHand = keys.join('by-hand.db');
        const data = fileOf('one', 'data');
        execFileSync(requireTool('age'), ['-d', '-i', keys.join('id_ed25519'), '-o', `${byHand}.zst`, data]);
        execFileSync(requireTool('zstd'), ['-q', '-d', `${byHand}.zst`, '-o', byHand]);
        expect(readFileSync(byHand).equals(readFileSync(target))).toBe(true);
      } finally {
        keys.remove();
      }
    });
  });
});

/** `a`, `a/b` for `a/b/c`. */
function parentsOf(path: string): string[] {
  const parent = dirname(path);
  return parent === '.' ? [] : [parent, ...parentsOf(parent)];
}
