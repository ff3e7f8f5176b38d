/** The packages that are part of the built program: what they are, and what their licences ask for. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Package {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression. */
  readonly license: string;
  /** Of its home page, else of its repository; null: it says neither. */
  readonly home: string | null;
  /** Who it says wrote it; null: it does not. */
  readonly author: string | null;
  /** Licence and notice files, as they are. None: it brings none, and `license` is all it says. */
  readonly notices: readonly string[];
}

type Person = string | { readonly name?: string };

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly homepage?: string;
  readonly repository?: string | { readonly url?: string };
  readonly author?: Person;
}

/** The packages that files of `node_modules` belong to, each once, by name and version. Files elsewhere belong to none. */
export function packagesOf(modules: readonly string[]): readonly Package[] {
  const folders = new Set(modules.map(folderOf).filter((folder) => folder !== null));
  return [...folders].map(readPackage).toSorted(byName);
}

export function byName(a: { name: string; version: string }, b: { name: string; version: string }): number {
  return `${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1;
}

/** The innermost `node_modules/NAME` or `node_modules/@SCOPE/NAME` around a file. */
function folderOf(file: string): string | null {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? null;
}

export function readPackage(folder: string): Package {
  const json = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageJson;
  const { name, version, license = 'none', homepage, repository, author } = json;
  const address = typeof repository === 'string' ? repository : repository?.url;
  const home = homepage ?? address?.replace(/^git\+/, '').replace(/\.git$/, '');
  return {
    ...{ name, version, license },
    home: home ?? null,
    author: (typeof author === 'string' ? author : author?.name) ?? null,
    notices: readdirSync(folder)
      .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file) && existsSync(join(folder, file)))
      .toSorted()
      .map((file) => readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n').trim()),
  };
}
