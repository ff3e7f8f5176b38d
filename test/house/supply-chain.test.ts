/** What comes with Granary: its licences, and what runs when it is installed. `docs/supply-chain.md` says the same. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { billOfMaterials, type Lock } from '../../build/bill.ts';
import { type Bundle, bundle, external } from '../../build/bundle.ts';
import { noticesText } from '../../build/notices.ts';
import { type Package, packagesOf } from '../../build/packages.ts';
import { root } from './repository.ts';

interface Entry {
  readonly dev?: boolean;
  readonly license?: string;
  readonly hasInstallScript?: boolean;
}

const read = (name: string) => JSON.parse(readFileSync(join(root, name), 'utf8'));
const lock = read('package-lock.json') as Lock & { packages: Record<string, Entry> };
const packages = Object.entries(lock.packages).filter(([path]) => path !== '');
const page = readFileSync(join(root, 'docs/supply-chain.md'), 'utf8');

let program: Bundle;
let builtIn: readonly Package[];
beforeAll(async () => {
  program = await bundle();
  builtIn = packagesOf(program.modules);
});

test('npm installs the native packages beside the program, and nothing else', () => {
  expect(Object.keys(read('package.json').dependencies)).toEqual(external);
  expect(builtIn.map(({ name }) => name).filter((name) => external.includes(name))).toEqual([]);
  for (const name of ['@aws-sdk/client-s3', '@grpc/grpc-js', 'commander', 'yaml'])
    expect(builtIn.map((one) => one.name)).toContain(name);
  expect(program.needs).toEqual(external);
});

test('all that comes with Granary is under a licence that goes with Apache-2.0, and that the page names', () => {
  const [, list = ''] = /are under (.*), each of which/.exec(page) ?? [];
  const allowed = list.split(/, | or /);
  const installed = packages.filter(([, { dev }]) => dev !== true);
  const licences = [
    ...builtIn.map(({ name, license }) => ({ name, license })),
    ...installed.map(([name, { license = 'none' }]) => ({ name, license })),
  ];
  expect(licences.length).toBeGreaterThan(100);
  expect(licences.filter(({ license }) => !allowed.includes(license))).toEqual([]);
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
    expect(runs, `${name} is installed beside the program`).toBe(false);
  }
});

test('the bill of materials names what is built in and what is installed beside it, and no tool', () => {
  const { bomFormat, components } = billOfMaterials(builtIn, read('package.json'), lock) as {
    bomFormat: string;
    components: { purl: string; licenses: object[]; hashes: { content: string }[] }[];
  };
  expect(bomFormat).toBe('CycloneDX');
  const urls = components.map(({ purl }) => purl);
  expect(new Set(urls).size).toBe(urls.length);
  for (const part of ['/commander@', '/%40grpc/grpc-js@', '/%40node-rs/crc32-linux-x64-gnu@'])
    expect(urls.filter((url) => url.includes(part))).toHaveLength(1);
  expect(urls.filter((url) => /\/(vitest|typescript|rolldown)@/.test(url))).toEqual([]);
  for (const { purl, licenses, hashes } of components) {
    expect(licenses, purl).toHaveLength(1);
    expect(hashes[0]?.content, purl).toMatch(/^[0-9a-f]{128}$/);
  }
});

test('the licences of what is built in go with it, each with its copyright', () => {
  const text = noticesText(builtIn);
  for (const { name, version, license } of builtIn) expect(text).toContain(`${name} ${version}, ${license}`);
  const { notices } = builtIn.find(({ name }) => name === 'commander') ?? {};
  expect(notices?.[0]).toContain('Copyright');
  for (const notice of builtIn.flatMap((one) => one.notices)) expect(text).toContain(notice);
});

test('the text of the program takes one byte a letter', () => {
  for (const { fileName, code } of program.chunks) expect(code, fileName).not.toMatch(/[^\0-\x7f]/);
});
