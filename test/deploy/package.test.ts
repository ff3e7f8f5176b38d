/** The package as npm makes it, installed in an empty folder and run from there. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeAll, describe, expect, test } from 'vitest';
import { nodeEnvironment, nodeFlags } from '../../build/bundle.ts';
import { Fleet } from '../cli/fleet.ts';
import { root } from '../house/repository.ts';
import { describeWith } from '../servers/describe.ts';
import { startEtcd } from '../servers/etcd.ts';
import { tempFolder } from '../servers/temp.ts';

/** npm is run by this Node, and so is whatever it starts. */
const env = { ...process.env, PATH: [dirname(process.execPath), process.env.PATH].join(delimiter) };

function npm(args: readonly string[], cwd: string): string {
  return execFileSync('npm', args, { cwd, env, encoding: 'utf8', maxBuffer: 64 * 2 ** 20 });
}

describe('the package', () => {
  const folder = tempFolder('package');
  const own = folder.join('own');
  let files: string[] = [];

  beforeAll(() => {
    const [packed] = JSON.parse(npm(['pack', '--json', '--silent', '--pack-destination', folder.path], root));
    files = packed.files.map(({ path }: { path: string }) => path);
    execFileSync('mkdir', [own]);
    writeFileSync(join(own, 'package.json'), '{"private": true}');
    const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
    npm(['install', ...flags, folder.join(packed.filename)], own);
  }, 600_000);

  const granary = (...args: string[]) =>
    spawnSync(join(own, 'node_modules/.bin/granary'), args, { cwd: own, env, encoding: 'utf8' });

  test('holds the program, its schemas, its manual, the workflow and three pages, and nothing else', () => {
    expect([...new Set(files.map((path) => path.split('/')[0]))].toSorted()).toEqual(
      [
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'dist',
        'examples',
        'man',
        'package.json',
        'schemas',
      ].toSorted(),
    );
    expect(files.filter((path) => path.startsWith('examples/'))).toEqual(['examples/ci/github.yaml']);
    expect(files.filter((path) => /\.(test\.\w+|map|ts)$/.test(path))).toEqual([]);
    const beside = files.filter((path) => /^dist\/(?!cli\/[\w.-]+\.js$)/.test(path));
    expect(beside.toSorted()).toEqual([
      'dist/THIRD-PARTY-LICENSES.txt',
      'dist/commit.json',
      'dist/granary.cdx.json',
    ]);
  });

  test('starts Node as the image does', () => {
    const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8');
    const [, entrypoint = ''] = /^ENTRYPOINT (.*)$/m.exec(dockerfile) ?? [];
    expect(JSON.parse(entrypoint)).toEqual(['node', ...nodeFlags, '/opt/granary/dist/cli/main.js']);
    const [, variables = ''] = /^ENV (.*)$/m.exec(dockerfile) ?? [];
    expect(variables.split(' ')).toEqual(
      Object.entries(nodeEnvironment).map(([name, value]) => `${name}=${value}`),
    );
    // A node that only says how it was started; whoever sets a variable is obeyed.
    const bin = folder.join('bin');
    mkdirSync(bin);
    const tell = '#!/bin/sh\necho "$MALLOC_ARENA_MAX $MALLOC_TRIM_THRESHOLD_" "$@"\n';
    writeFileSync(join(bin, 'node'), tell, { mode: 0o755 });
    const started = (more: object) =>
      spawnSync(join(own, 'node_modules/.bin/granary'), ['plan', 'a b'], {
        env: { PATH: [bin, env.PATH].join(delimiter), ...more },
        encoding: 'utf8',
      }).stdout;
    const said = `${nodeFlags.join(' ')} ${join(own, 'node_modules/.bin/granary')} plan a b\n`;
    expect(started({})).toBe(`${Object.values(nodeEnvironment).join(' ')} ${said}`);
    expect(started({ MALLOC_ARENA_MAX: '7' })).toMatch(/^7 /);
  });

  test('says its version, writes a configuration, and reads it', () => {
    expect(granary('--version').stdout).toMatch(/^granary \d+\.\d+\.\d+/);
    expect(granary('init', 'fleet')).toMatchObject({ status: 0 });
    expect(granary('validate', '--path', 'fleet')).toMatchObject({ status: 0 });
    // Loads the drivers of all stores, and the client of etcd.
    const plan = granary('plan', '--path', 'fleet', '-o', 'json');
    expect(plan.status, plan.stderr).toBe(0);
    const checked = granary('check', 'example/etcd', '--path', 'fleet');
    expect(checked.stdout + checked.stderr).not.toMatch(/ERR_MODULE_NOT_FOUND|Cannot find/);
  });

  describeWith(['etcd-3.6'], 'with a real etcd', () => {
    test('makes a backup, and its agent makes one of its own', async () => {
      await using etcd = await startEtcd({ version: '3.6' });
      using fleet = await Fleet.make({ endpoints: etcd.endpoints });
      const backup = granary('backup', 'eu/prod', ...fleet.opened, '-o', 'json');
      expect(backup.status, backup.stderr).toBe(0);
      expect(JSON.parse(backup.stdout)).toMatchObject({ results: [{ outcome: 'published' }] });
      const state = fleet.folder.join('state');
      const agent = spawn(
        join(own, 'node_modules/.bin/granary'),
        ['agent', ...fleet.opened, '--listen', '127.0.0.1:0', '--state', state],
        { cwd: own, env, stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const ended = once(agent, 'close');
      const said: string[] = [];
      try {
        // Ends when the agent does.
        for await (const line of createInterface({ input: agent.stdout })) {
          const { msg } = JSON.parse(line) as { msg: string };
          said.push(msg);
          // A cluster without a backup under the policy gets one at once.
          if (msg === 'backup done') agent.kill('SIGTERM');
        }
      } finally {
        agent.kill('SIGKILL');
      }
      expect(await ended).toEqual([0, null]);
      expect(said).toContain('backup done');
      expect(fleet.stored('local').filter((file) => file.endsWith('manifest.json'))).toHaveLength(2);
    });
  });

  test('brings nothing along but native code', () => {
    const modules = readdirSync(join(own, 'node_modules')).filter((name) => !name.startsWith('.'));
    expect(modules.toSorted()).toEqual(['@node-rs', 'granary']);
  });

  const older = olderNode();
  test.skipIf(older === null)('an older Node is refused in words', () => {
    const entry = realpathSync(join(own, 'node_modules/.bin/granary'));
    const { status, stderr } = spawnSync(older ?? '', [entry, '--version'], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: granary needs Node 24 or newer, and this is v\d+.*\nhint: .*\n$/);
  });
});

/** One on the PATH that is too old; null where there is none. */
function olderNode(): string | null {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const { stdout } = spawnSync(join(folder, 'node'), ['--version'], { encoding: 'utf8' });
    if (stdout && Number.parseInt(stdout.slice(1), 10) < 24) return join(folder, 'node');
  }
  return null;
}
