/** What no committed file may hold, and how long a source file may be. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { committedFiles, root } from './repository.ts';

const files = committedFiles();

/** Hosts that packages come from: the usual ones, and whatever this machine is set to. */
function registryHosts(): string[] {
  const usual = [
    'registry.npmjs',
    'registry.yarnpkg',
    'proxy.golang',
    'sum.golang',
    'deb.debian',
    'files.pythonhosted',
  ];
  const set = [process.env.npm_config_registry, ...(process.env.GOPROXY ?? '').split(/[,|]/)].map(
    (url) => URL.parse(url ?? '')?.hostname ?? '',
  );
  return [...usual, ...set.filter((host) => host !== '')];
}

test('no committed file holds the address of a package registry', () => {
  const hosts = registryHosts();
  const own = 'test/house/files.test.ts';
  const found = files
    .filter((path) => path !== own)
    .flatMap((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      return hosts.filter((host) => text.includes(host)).map((host) => `${path}: ${host}`);
    });
  expect(files).toContain('package-lock.json');
  expect(found).toEqual([]);
});

test('no .npmrc names a registry or holds a token', () => {
  const found = files
    .filter((path) => /(^|\/)\.(npmrc|yarnrc.*)$/.test(path))
    .filter((path) => /registry\s*=|_auth|_password/i.test(readFileSync(join(root, path), 'utf8')));
  expect(found).toEqual([]);
});

test('the lock file pins content by integrity and not by address', () => {
  interface Entry {
    readonly version?: string;
    readonly resolved?: string;
    readonly integrity?: string;
    readonly link?: boolean;
    readonly optional?: boolean;
    readonly optionalDependencies?: Record<string, string>;
  }
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Entry>;
  };
  const packages = Object.entries(lock.packages).filter(([path, entry]) => path !== '' && !entry.link);
  expect(packages.length).toBeGreaterThan(50);
  expect(packages.filter(([, entry]) => entry.resolved !== undefined).map(([path]) => path)).toEqual([]);
  // A registry that lacks a package for another platform gives no integrity for it; what all machines install has one.
  const unpinned = packages.filter(([, entry]) => entry.integrity === undefined && !entry.optional);
  expect(unpinned.map(([path]) => path)).toEqual([]);
  // npm leaves out a platform's package that the registry does not have, and then `npm ci` refuses the file.
  const absent = packages.flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {}).filter(
      (name) => !(`${path}/node_modules/${name}` in lock.packages || `node_modules/${name}` in lock.packages),
    ),
  );
  expect(absent, 'add an entry with version, os, cpu and `optional: true` for each').toEqual([]);
});

test('every source file has at most 400 lines', () => {
  // Suites of tests are lists by nature; what they stand on is not.
  const suite = /^test\/(?!servers\/|demo\/)|\.test\.ts$/;
  const generated = /^src\/model\/generated\//;
  const sources = files
    .filter((path) => /\.(ts|mjs|cjs)$/.test(path))
    .filter((path) => !suite.test(path) && !generated.test(path));
  const long = sources
    .map((path) => ({ path, lines: readFileSync(join(root, path), 'utf8').split('\n').length - 1 }))
    .filter(({ lines }) => lines > 400);
  expect(sources).toEqual(expect.arrayContaining(['src/model/errors.ts', 'test/servers/etcd.ts']));
  expect(long).toEqual([]);
});
