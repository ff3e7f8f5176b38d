/** Which commits are used, with real Git, ssh-keygen and gpg; and that the agent goes on with the last good one. */
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Trust, type TrustOptions } from '../../src/agent/trust.ts';
import { openSource, type Source } from '../../src/git/source.ts';
import { Repository, withoutOwnSettings } from '../git/repository-fixture.ts';
import { type SshKey, signWith, sshKey, trustFiles } from '../git/signing.ts';
import { GpgHome } from '../secrets/gpg-home.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import { RunningAgent } from './running-agent.ts';
import { configuration } from './world.ts';

const signal = new AbortController().signal;

describeWith(['git', 'ssh'], 'commits that count', () => {
  const folder = tempFolder('trust');
  const olga = sshKey(folder, 'olga');
  const eve = sshKey(folder, 'eve');
  let count = 0;
  let origin: Repository;
  let state: string;

  beforeEach(() => {
    withoutOwnSettings(folder.path);
    count++;
    origin = new Repository(folder.join(`origin-${count}`));
    state = folder.join(`state-${count}`);
  });
  afterEach(() => vi.unstubAllEnvs());
  afterAll(() => folder.remove());

  /** As an agent that starts does. */
  const start = (options: Partial<TrustOptions> = {}): Promise<Source> => {
    const judge = new Trust({
      floor: 'none',
      allowedSigners: null,
      accepted: null,
      stateFolder: state,
      ...options,
    });
    return openSource({ repo: origin.folder, ref: 'main', workDir: join(state, 'git'), judge }, { signal });
  };
  const commitBy = (key: SshKey | null, subject: string, files?: Record<string, string>): string => {
    signWith(origin, key);
    return origin.commit(subject, files);
  };

  test('an unsigned commit stops the move and is named; a later signed one does not mend it', async () => {
    const first = commitBy(olga, 'first', trustFiles('all', olga));
    const source = await start();
    expect(source.commit?.id).toBe(first);
    const second = commitBy(olga, 'second');
    expect(await source.refresh({ signal })).toBe(true);
    const unsigned = commitBy(null, 'added by hand');
    expect(await source.refresh({ signal })).toBe(false);
    expect(source.refused).toMatchObject({
      code: 'commit-untrusted',
      message: `commit ${unsigned.slice(0, 7)} (added by hand) is not signed`,
    });
    const newest = commitBy(olga, 'signed again');
    expect(await source.refresh({ signal })).toBe(false);
    expect(source.refused?.message).toContain(`and ${newest.slice(0, 7)} comes after it`);
    expect(source.refused?.hint).toContain(`--accept-commit ${newest}`);
    expect(source.commit?.id).toBe(second);
    expect(readFileSync(join(source.root, 'seeds/eu.yaml'), 'utf8')).toBe('# second\n');
  });

  test('what is known of the signature is told, and remembered', async () => {
    const first = commitBy(null, 'nothing is asked for');
    const unasked = await start();
    expect(unasked.signature).toEqual({ state: 'unchecked', signer: null });
    commitBy(olga, 'from now on', trustFiles('all', olga));
    await unasked.refresh({ signal });
    // Judged by the rule of the one before.
    expect(unasked.signature.state).toBe('unchecked');
    commitBy(olga, 'signed');
    await unasked.refresh({ signal });
    expect(unasked.signature).toEqual({ state: 'verified', signer: 'ops@acme.example' });
    const unsigned = commitBy(null, 'unsigned');
    const again = await start();
    expect(again.refused?.code).toBe('commit-untrusted');
    expect(again.signature).toEqual({ state: 'verified', signer: 'ops@acme.example' });
    const vouched = await start({ accepted: unsigned });
    expect([vouched.commit?.id, vouched.signature]).toEqual([unsigned, { state: 'accepted', signer: null }]);
    expect(first).not.toBe(unsigned);
  });

  test('by `head` the newest alone counts', async () => {
    commitBy(olga, 'first', trustFiles('head', olga));
    const source = await start();
    commitBy(null, 'unsigned');
    expect(await source.refresh({ signal })).toBe(false);
    expect(source.refused?.hint).toContain('push a signed commit on top');
    const third = commitBy(olga, 'third');
    expect(await source.refresh({ signal })).toBe(true);
    expect(source.commit?.id).toBe(third);
    expect(source.refused).toBeNull();
  });

  test('a stranger’s signature does not count, even where the commit itself adds the stranger', async () => {
    commitBy(olga, 'first', trustFiles('all', olga));
    const source = await start();
    const intruder = commitBy(eve, 'let me in', trustFiles('all', olga, eve));
    expect(await source.refresh({ signal })).toBe(false);
    expect(source.refused?.message).toMatch(
      new RegExp(`^commit ${intruder.slice(0, 7)} \\(let me in\\) is signed by SHA256:.*none of the allowed`),
    );
    // Nor where it takes the rule away.
    origin.git('reset', '--quiet', '--hard', 'HEAD~1');
    commitBy(eve, 'no rules', trustFiles('none'));
    expect(await source.refresh({ signal })).toBe(false);
    expect(source.refused?.message).toContain('none of the allowed signers');
  });

  test('whom an accepted commit lets in may sign the next one', async () => {
    commitBy(olga, 'first', trustFiles('all', olga));
    const source = await start();
    commitBy(olga, 'eve may sign', trustFiles('all', olga, eve));
    expect(await source.refresh({ signal })).toBe(true);
    const hers = commitBy(eve, 'hers');
    expect(await source.refresh({ signal })).toBe(true);
    expect(source.commit?.id).toBe(hers);
    commitBy(eve, 'anybody now', trustFiles('none'));
    expect(await source.refresh({ signal })).toBe(true);
    commitBy(null, 'unsigned');
    expect(await source.refresh({ signal })).toBe(true);
  });

  test('a merge counts by itself: what was merged may be unsigned', async () => {
    commitBy(olga, 'first', trustFiles('all', olga));
    const source = await start();
    origin.git('switch', '--quiet', '--create', 'side');
    commitBy(null, 'unsigned on a branch', { 'seeds/side.yaml': '# side\n' });
    origin.git('switch', '--quiet', 'main');
    signWith(origin, olga);
    origin.git('merge', '--quiet', '--no-ff', '-m', 'merged and looked at', 'side');
    expect(await source.refresh({ signal })).toBe(true);
  });

  test('a start after a refused commit goes on with the accepted one, by what was remembered', async () => {
    const first = commitBy(olga, 'first', trustFiles('all', olga));
    await (await start()).close();
    commitBy(null, 'no rules any more', trustFiles('none'));
    const source = await start();
    expect(source.commit?.id).toBe(first);
    expect(source.refused?.message).toContain('is not signed');
    // Put back: nothing is refused any more.
    origin.git('reset', '--quiet', '--hard', first);
    expect(await source.refresh({ signal })).toBe(false);
    expect(source.refused).toBeNull();
  });

  test('a start with history rewritten below it is refused whole, with the way out', async () => {
    commitBy(olga, 'first', trustFiles('all', olga));
    await (await start()).close();
    origin.git('switch', '--quiet', '--orphan', 'other');
    origin.git('branch', '--quiet', '-D', 'main');
    origin.git('branch', '--quiet', '-m', 'main');
    const other = commitBy(null, 'another history', trustFiles('none'));
    origin.git('reflog', 'expire', '--expire=now', '--all');
    origin.git('gc', '--quiet', '--prune=now');
    await expect(start()).rejects.toMatchObject({ code: 'commit-untrusted' });
    const source = await start({ accepted: other });
    expect(source.commit?.id).toBe(other);
  });

  test('a commit that the operator vouches for is used, and those after it are judged', async () => {
    commitBy(olga, 'first', trustFiles('all', olga));
    await (await start()).close();
    const unsigned = commitBy(null, 'unsigned');
    const source = await start({ accepted: unsigned });
    expect(source.commit?.id).toBe(unsigned);
    commitBy(olga, 'signed');
    expect(await source.refresh({ signal })).toBe(true);
    commitBy(null, 'unsigned again');
    expect(await source.refresh({ signal })).toBe(false);
  });

  test('the operator’s floor and list hold whatever the repository says', async () => {
    const signers = folder.join(`signers-${count}`);
    writeFileSync(signers, olga.line);
    commitBy(eve, 'by a stranger', trustFiles('all', eve));
    const floor = { floor: 'head', allowedSigners: signers } as const;
    await expect(start(floor)).rejects.toMatchObject({ code: 'commit-untrusted' });
    commitBy(olga, 'by olga', trustFiles('none'));
    const source = await start(floor);
    commitBy(null, 'unsigned');
    expect(await source.refresh({ signal })).toBe(false);
    await expect(start({ floor: 'head', allowedSigners: folder.join('absent') })).rejects.toMatchObject({
      code: 'file-unreadable',
    });
  });

  test('history that is turned back to an unsigned commit is refused', async () => {
    const unsigned = commitBy(null, 'before there were rules');
    commitBy(olga, 'rules', trustFiles('all', olga));
    const source = await start();
    origin.git('reset', '--quiet', '--hard', unsigned);
    expect(await source.refresh({ signal })).toBe(false);
    expect(source.refused?.message).toContain('is not signed');
  });

  test('a list of signers that points out of the repository is none', async () => {
    const outside = folder.join(`outside-${count}`);
    writeFileSync(outside, olga.line);
    signWith(origin, olga);
    const { 'repository.yaml': document = '' } = trustFiles('all');
    mkdirSync(join(origin.folder, '.granary'), { recursive: true });
    symlinkSync(outside, join(origin.folder, '.granary/allowed_signers'));
    origin.commit('first', { 'repository.yaml': document });
    await expect(start()).rejects.toMatchObject({ code: 'commit-untrusted' });
  });

  test('the files of a commit that nobody vouches for are not even written out', async () => {
    commitBy(olga, 'first', trustFiles('all', olga));
    const source = await start();
    // Such a name is too long for a file system.
    const name = 'x'.repeat(300);
    const blob = origin.git('rev-parse', 'HEAD:repository.yaml');
    origin.git('update-index', '--add', '--cacheinfo', `100644,${blob},${name}`);
    signWith(origin, null);
    origin.git('commit', '--quiet', '-m', 'Too much');
    expect(await source.refresh({ signal })).toBe(false);
    expect(source.refused?.message).toContain('(Too much) is not signed');
  });

  test('a subject cannot move the cursor, and a state file of something else is refused', async () => {
    commitBy(olga, 'first', trustFiles('all', olga));
    const source = await start();
    commitBy(null, 'red \u001b[31m');
    await source.refresh({ signal });
    expect(source.refused?.message).toContain('red \\x1b[31m');
    writeFileSync(join(state, 'accepted.json'), '{"format": 1, "commit": "x"}');
    await expect(start()).rejects.toMatchObject({ code: 'state-invalid' });
  });

  describeWith(['gpg'], 'by OpenPGP', () => {
    test('a key in the keyring counts, one that is missing does not', async () => {
      using home = new GpgHome();
      const { GNUPGHOME = '' } = home.env;
      vi.stubEnv('GNUPGHOME', GNUPGHOME);
      const program = folder.join('gpg-program');
      writeFileSync(program, `#!/bin/sh\nGNUPGHOME='${GNUPGHOME}' exec gpg "$@"\n`);
      chmodSync(program, 0o755);
      origin.git('config', 'gpg.program', program);
      origin.git('config', 'user.signingKey', home.fingerprint);
      origin.git('config', 'commit.gpgSign', 'true');
      origin.commit('first', trustFiles('all'));
      expect((await start()).refused).toBeNull();
      const empty = folder.join('empty-home');
      mkdirSync(empty, { mode: 0o700 });
      vi.stubEnv('GNUPGHOME', empty);
      rmSync(state, { recursive: true });
      await expect(start()).rejects.toThrow(/cannot be checked here/);
    });
  });
});

describeWith(['git', 'ssh'], 'the agent and its commits', () => {
  test('goes on with the accepted commit, says so, and moves on when a signed one comes', async () => {
    using folder = tempFolder('trusting');
    const olga = sshKey(folder, 'olga');
    const disk = folder.join('disk');
    mkdirSync(disk);
    const origin = new Repository(folder.join('origin'));
    signWith(origin, olga);
    const files = configuration({ seeds: { eu: { prod: 'http://127.0.0.1:1' } }, disk });
    const first = origin.commit('first', { ...files, ...trustFiles('head', olga) });
    await using agent = new RunningAgent(['--repo', origin.folder, '--state', folder.join('state')]);
    await agent.logged('configuration in use', { commit: first });
    signWith(origin, null);
    const unsigned = origin.commit('unsigned', { 'note.txt': 'unsigned' });
    expect(await agent.logged('commit refused', { commit: unsigned })).toMatchObject({ inUse: first });
    const { text } = await agent.get('/readyz');
    expect(text).toContain(`seed eu goes on with commit ${first}: commit ${unsigned.slice(0, 7)}`);
    signWith(origin, olga);
    const third = origin.commit('signed', { 'note.txt': 'signed' });
    await agent.logged('configuration in use', { commit: third });
  });

  describe('its flags', () => {
    test('signatures cannot be asked of a folder', async () => {
      using folder = tempFolder('flags');
      await using agent = new RunningAgent(['--path', folder.path, '--verify-commits', 'head']);
      expect(await agent.exited).toMatchObject({ code: 1 });
      expect(agent.stderr).toContain('name it with --repo instead of --path');
    });
  });
});
