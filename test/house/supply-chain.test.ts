/** What is installed with Granary: its licences, and what runs when it is installed. `docs/supply-chain.md` says the same. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './repository.ts';

interface Entry {
  readonly dev?: boolean;
  readonly license?: string;
  readonly version?: string;
  readonly hasInstallScript?: boolean;
}

const read = (name: string) => JSON.parse(readFileSync(join(root, name), 'utf8'));
const packages = Object.entries(
  (read('package-lock.json') as { packages: Record<string, Entry> }).packages,
).filter(([path]) => path !== '');
const running = packages.filter(([, { dev }]) => dev !== true);
const page = readFileSync(join(root, 'docs/supply-chain.md'), 'utf8');

test('all that is needed to run is under a licence that goes with Apache-2.0, and that the page names', () => {
  const [, list = ''] = /are under (.*), each of which/.exec(page) ?? [];
  const allowed = list.split(/, | or /);
  expect(running.length).toBeGreaterThan(100);
  const others = running.filter(([, { license = 'none' }]) => !allowed.includes(license));
  expect(others.map(([path, { license }]) => `${path}: ${license}`)).toEqual([]);
});

test('each package with an install script is named, and allowed to run it or not', () => {
  const { allowScripts } = read('package.json') as { allowScripts: Record<string, boolean> };
  const scripted = packages
    .filter(([, entry]) => entry.hasInstallScript)
    .map(([path, { dev }]) => ({
      name: path.replace(/^.*node_modules\//, ''),
      runs: dev !== true,
    }));
  expect(Object.keys(allowScripts).toSorted()).toEqual(scripted.map(({ name }) => name).toSorted());
  for (const { name, runs } of scripted) {
    expect(page).toContain(`| \`${name}\` |`);
    if (runs) expect(allowScripts[name], `${name} is needed to run`).toBe(false);
  }
});

test('the bill of materials names what runs, and no tool', () => {
  const env = { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` };
  const text = execFileSync('npm', ['run', '--silent', 'sbom'], {
    cwd: root,
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 25,
  });
  const { bomFormat, components } = JSON.parse(text) as { bomFormat: string; components: { purl: string }[] };
  expect(bomFormat).toBe('CycloneDX');
  const urls = components.map(({ purl }) => purl);
  expect(urls.filter((url) => url.includes('/commander@'))).toHaveLength(1);
  expect(urls.filter((url) => /\/(vitest|typescript)@/.test(url))).toEqual([]);
});
