/** The deprecated `backup:` of a Seed becomes the Destination and the Policy that it stood for, under the same names. */
import { isDeepStrictEqual } from 'node:util';
import type { Configuration, Seed } from '../../model/config.ts';
import { GranaryError } from '../../model/errors.ts';
import type { SeedDocument } from '../../model/generated/seed.ts';
import { backupName } from '../../model/names.ts';
import { backupDestination, backupPointer, backupPolicy } from '../deprecated.ts';
import type { ConfigurationFile, FoundFiles } from '../files.ts';
import { configurationOf } from '../load.ts';
import { childPointer, valueAt } from '../pointer.ts';
import { CommentIndex, commentsOf } from './comments.ts';
import { type Edit, edited, replaceSpecField } from './edit.ts';
import { documentText, type Field } from './emit.ts';
import { type InputDocument, readDocuments } from './input.ts';
import { joined, type MigratedFile, type Migration } from './result.ts';

/**
 * Rewrites every Seed with `backup:` in the chosen files.
 * @param found the whole configuration, as read
 * @param configuration what it says; without errors in what these seeds reach
 * @param chosen which files to rewrite
 * @throws GranaryError `config-invalid` where a file is written in a way that cannot be changed safely, `internal`
 *   where the result would mean something else
 */
export function migrateBackups(
  found: FoundFiles,
  configuration: Configuration,
  chosen: (file: string) => boolean,
): Migration {
  const migrations = found.files
    .filter(({ file }) => chosen(file))
    .map((file) => migrateFile(file, configuration));
  const migration = joined(migrations);
  if (migration.files.length > 0) requireSameMeaning(found, configuration, migration.files);
  return migration;
}

/** Names of the seeds with `backup:` in a file. Faults of the file are no business of this. */
export function seedsWithBackup({ file, text }: ConfigurationFile): string[] {
  if (!text.includes('backup')) return [];
  return readDocuments({ file, text }).flatMap((document) => {
    const written = seedOf(document);
    return written === null ? [] : [written.metadata.name];
  });
}

function migrateFile(file: ConfigurationFile, configuration: Configuration): Migration {
  if (seedsWithBackup(file).length === 0) return joined([]);
  const edits: Edit[] = [];
  const rewritten = readDocuments(file).flatMap((document) => {
    const written = seedOf(document);
    const seed = configuration.seeds.find(({ name }) => name === written?.metadata.name);
    if (written === null || seed === undefined) return [];
    const one = rewriteSeed(document, written, seed, configuration);
    edits.push(...one.edits);
    return [one];
  });
  const after = edited(file.text, edits);
  const added = rewritten.flatMap(({ added }) => added);
  requireComments(file.text, [after, ...added.map(({ after }) => after)]);
  return {
    files: [{ path: file.file, before: file.text, after }, ...added],
    notes: rewritten.flatMap(({ notes }) => notes),
    steps: [],
  };
}

interface RewrittenSeed {
  readonly edits: readonly Edit[];
  readonly added: readonly MigratedFile[];
  readonly notes: readonly string[];
}

function rewriteSeed(
  document: InputDocument,
  { spec }: SeedDocument & { spec: { backup: object } },
  seed: Seed,
  { policies, credentials }: Configuration,
): RewrittenSeed {
  const name = backupName(seed.name);
  const isDefault = spec.defaultDestination === undefined && seed.defaultDestination === name;
  const replacement = isDefault ? { key: 'defaultDestination', value: name } : null;
  const { edits, region } = replaceSpecField(document, 'backup', replacement);
  const comments = new CommentIndex(document, region);
  const folder = folderOf(document.file);
  const own = comments.take(backupPointer);
  const destination = backupDestination(seed, spec.backup);
  const fields = Object.entries(destination.spec).flatMap(([key, value]): Field[] => {
    // Path style off is the default, and is written only where somebody wrote it.
    if (key === 'forcePathStyle' && value === false && spec.backup.forcePathStyle === undefined) return [];
    return [{ key, value, comments: comments.take(childPointer(backupPointer, key)) }];
  });
  const added = [
    {
      path: `${folder}destinations/${name}.yaml`,
      before: null,
      after: documentText({
        kind: 'Destination',
        name,
        spec: fields,
        head: [...own.above, ...own.behind],
        tail: comments.takeRest(),
      }),
    },
  ];
  const notes = [credentialNote(name, spec.backup.credential ?? null, credentials)];
  if (policies.some((policy) => policy.name === name)) {
    added.push({ path: `${folder}policies/${name}.yaml`, before: null, after: policyText(seed.name) });
  }
  if (!isDefault && seed.defaultDestination !== name) {
    notes.push(
      `backups of ${seed.name} go to ${seed.defaultDestination} already, where policies name no destination; ${name} keeps those in the old bucket within reach`,
    );
  }
  if (seed.clusters.length === 0) {
    notes.push(
      `${seed.name} has no clusters yet, so no Policy was written: let one match them once they are there`,
    );
  }
  return { edits, added, notes };
}

function credentialNote(
  destination: string,
  credential: string | null,
  credentials: Configuration['credentials'],
): string {
  if (credential === null)
    return `${destination} names no credential, as before: what the agent's environment offers opens it`;
  const file = credentials.find(({ name }) => name === credential)?.position.file ?? 'its file';
  return `${destination} is opened by the Credential ${credential}, as before: ${file} must stay`;
}

function policyText(seed: string): string {
  const { metadata, spec } = backupPolicy(seed);
  const fields: Field[] = [
    { key: 'clusters', value: [{ key: 'seeds', value: spec.clusters.seeds ?? [] }] },
    { key: 'schedule', value: [{ key: 'cron', value: spec.schedule.cron }] },
    { key: 'keep', value: Object.entries(spec.keep).map(([key, value]) => ({ key, value })) },
  ];
  return documentText({ kind: 'Policy', name: metadata.name, spec: fields, head: [] });
}

/** What a document says, where it is a Seed with `backup:`. */
function seedOf({ value }: InputDocument) {
  if (valueAt(value, '/kind') !== 'Seed' || valueAt(value, '/metadata/name') === undefined) return null;
  const isOurs = String(valueAt(value, '/apiVersion')).startsWith('granary.dev/');
  const backup = valueAt(value, backupPointer);
  if (!isOurs || typeof backup !== 'object' || backup === null) return null;
  // The schema has vouched for it: seeds with a fault are not migrated.
  return value as SeedDocument & { spec: { backup: NonNullable<SeedDocument['spec']['backup']> } };
}

/** Beside the folder `seeds`, as `granary init` lays a repository out; else beside the file itself. */
function folderOf(file: string): string {
  const folders = file.split('/').slice(0, -1);
  if (folders.at(-1) === 'seeds') folders.pop();
  return folders.map((folder) => `${folder}/`).join('');
}

/** Not one comment gets lost: each stands in one of the texts. */
function requireComments(before: string, after: readonly string[]): void {
  const left = after.flatMap(commentsOf).map(({ text }) => text);
  for (const { text } of commentsOf(before)) {
    const index = left.indexOf(text);
    if (index === -1) throw unsound('a comment would get lost');
    left.splice(index, 1);
  }
}

/** Everything the configuration says must be the same afterwards, so that nothing runs otherwise or gets stranded. */
function requireSameMeaning(
  found: FoundFiles,
  before: Configuration,
  changed: readonly MigratedFile[],
): void {
  const result = configurationOf(overlaid(found, changed));
  const errors = ({ diagnostics }: Configuration) =>
    diagnostics
      .filter(({ severity }) => severity === 'error')
      .map(({ code, subject }) => `${code} ${subject?.kind} ${subject?.name}`)
      .sort();
  if (!isDeepStrictEqual(meaning(before), meaning(result)))
    throw unsound('the result would mean something else');
  if (!isDeepStrictEqual(errors(before), errors(result))) throw unsound('the result would have errors');
}

/** The configuration with some of its files changed and others added. */
export function overlaid(found: FoundFiles, changed: readonly MigratedFile[]): FoundFiles {
  const texts = new Map(found.files.map(({ file, text }) => [file, text]));
  for (const { path, after } of changed) texts.set(path, after);
  const files = [...texts].map(([file, text]) => ({ file, text })).sort((a, b) => (a.file < b.file ? -1 : 1));
  return { files, diagnostics: found.diagnostics, count: files.length };
}

function meaning(configuration: Configuration): unknown {
  const { seeds, destinations, credentials, policies, repository } = configuration;
  const objects = [...seeds, ...destinations, ...credentials, ...policies, repository];
  const plain = JSON.parse(
    JSON.stringify(objects, (key, value: unknown) => (key === 'position' ? undefined : value)),
  ) as { kind: string; name: string }[];
  const place = ({ kind, name }: { kind: string; name: string }) => `${kind}/${name}`;
  return plain.sort((a, b) => (place(a) < place(b) ? -1 : 1));
}

function unsound(what: string): GranaryError {
  return new GranaryError('internal', `migrating would go wrong: ${what}; nothing was written`, {
    hint: 'write the Destination by hand as `granary explain destination` shows it, and report this file',
  });
}
