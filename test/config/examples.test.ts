/** The repositories of `examples/` are what people copy: each is valid, encrypted, and says no more than it means to. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { fleetSeeds } from '../../examples/fleet/generate.ts';
import { explain } from '../../src/config/explain.ts';
import { loadConfiguration } from '../../src/config/index.ts';
import { resolveAssignments } from '../../src/config/resolve.ts';
import { lintCredentialFile } from '../../src/secrets/credential-file.ts';
import { findSopsRules } from '../../src/secrets/sops-rules.ts';
import { granary } from '../cli/granary.ts';
import { root } from '../house/repository.ts';

/** Every example, with the codes of what is said about it. */
const examples: Readonly<Record<string, readonly string[]>> = {
  fleet: [],
  kots: [],
  // Its second seed has one bucket, as people find it when they come.
  kubermatic: ['deprecated-backup'],
  local: [],
  minio: [],
  palette: [],
  // A leaked credential is locked.
  taikun: ['skipped'],
};

const folderOf = (name: string): string => join(root, 'examples', name);

/** Paths of all files below a folder, with `/`. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

/** Every field that is written in a document, as `explain` takes it. Keys that people choose end a path. */
function writtenFields(value: unknown, path: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => writtenFields(item, path));
  if (typeof value !== 'object' || value === null) return [path];
  const isFree = /\.(labels|matchLabels)$|^credential\.(data|sops)$/.test(path);
  return isFree
    ? [path]
    : Object.entries(value).flatMap(([key, below]) => writtenFields(below, `${path}.${key}`));
}

describe.each(Object.entries(examples))('examples/%s', (name, codes) => {
  const folder = folderOf(name);

  test('it is valid, and says what it means to', async () => {
    const configuration = await loadConfiguration(folder);
    expect(configuration.diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(configuration.diagnostics.map(({ code }) => code)).toEqual(codes);
    expect(configuration.policies.length).toBeGreaterThan(0);
    // Nothing in it is without use: each enabled cluster is backed up to somewhere.
    const runs = resolveAssignments(configuration).filter(({ skipped }) => skipped === null);
    const clusters = configuration.seeds.flatMap((seed) => seed.clusters);
    expect(new Set(runs.map(({ cluster }) => cluster)).size).toBe(clusters.length);
  });

  test('its credentials are encrypted as its .sops.yaml says, and no private key lies beside them', async () => {
    const { credentials } = await loadConfiguration(folder);
    const found = await findSopsRules(folder);
    for (const { position } of credentials) {
      const text = readFileSync(join(folder, position.file), 'utf8');
      const recipients = found?.rules.ruleFor(position.file)?.recipients ?? null;
      expect(recipients).not.toBeNull();
      expect(lintCredentialFile({ file: position.file, text, recipients })).toEqual([]);
    }
    for (const file of filesBelow(folder)) {
      expect(readFileSync(join(folder, file), 'utf8'), file).not.toMatch(/AGE-SECRET-KEY|PRIVATE KEY-----/);
    }
  });

  test('`granary validate` takes it', async () => {
    const ran = await granary(['validate', '--path', folder]);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    for (const code of codes) expect(ran.stdout).toContain(`[${code}]`);
    if (codes.length === 0) expect(ran.stdout).toContain('No errors, no warnings');
  });

  test('`granary explain` knows every field of it', () => {
    const documents = filesBelow(folder)
      .filter((file) => file.endsWith('.yaml') && !file.startsWith('.'))
      .flatMap((file) => parseAllDocuments(readFileSync(join(folder, file), 'utf8')) as { toJS(): object }[])
      .map((document) => document.toJS() as { kind: string });
    const fields = documents.flatMap((document) => writtenFields(document, document.kind.toLowerCase()));
    for (const field of new Set(fields)) expect(explain(field).description, field).not.toBe('');
  });
});

test('no folder of examples is left out, and each has its page, linked from the README', () => {
  // Workflows, which have a page of their own and are no configuration.
  const workflows = 'ci';
  const folders = readdirSync(join(root, 'examples')).filter(
    (name) => name !== workflows && existsSync(join(folderOf(name), 'README.md')),
  );
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const others = ['demo', 'migrate', 'local', 'minio', workflows];
  expect([...folders, ...others].toSorted()).toEqual(readdirSync(join(root, 'examples')).toSorted());
  for (const name of folders) {
    expect(Object.keys(examples)).toContain(name);
    expect(readme).toContain(`(examples/${name}/README.md)`);
  }
});

test('the seeds of the fleet are what its generator writes', () => {
  const folder = folderOf('fleet');
  const written = filesBelow(join(folder, 'seeds')).map((file) => `seeds/${file}`);
  const generated = fleetSeeds();
  expect(written.toSorted()).toEqual([...generated.keys()].toSorted());
  for (const [file, text] of generated) expect(readFileSync(join(folder, file), 'utf8'), file).toBe(text);
});
