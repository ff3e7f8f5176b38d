/** What `migrate` reads and checks. It writes nothing: `write-all.ts` does. */
import { lstat, realpath } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import {
  type ConfigurationFile,
  closureOf,
  configurationOf,
  type FoundFiles,
  isOurs,
  type Migration,
  migrateBackups,
  migrateOthers,
  overlaid,
  readConfigurationFiles,
  readNamedFile,
  seedsWithBackup,
} from '../config/index.ts';
import type { Diagnostic } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { findSopsRules } from '../secrets/sops-rules.ts';
import { InvalidConfiguration } from './workspace.ts';

export interface MigrateOptions {
  /** Folder of the configuration: where seeds with `backup:` are. null: the current one. */
  readonly root: string | null;
  /** What to migrate: files of the configuration, or manifests of other programs. None: the whole configuration. */
  readonly files: readonly string[];
  /** What stands for `-` among the files. */
  readonly stdin: () => Promise<string>;
  /** Where to write what is made of other programs' manifests; null: nowhere yet, as if it were empty. */
  readonly outputDir: string | null;
}

export interface PreparedMigration extends Migration {
  /** Absolute; null: there is none yet. */
  readonly folder: string | null;
  /** Whose manifests they are: `ours` is rewritten in place. */
  readonly from: 'ours' | 'others';
}

/**
 * Reads what is to be migrated and makes all of the result, checked against the configuration it will be part of.
 * @throws GranaryError `config-invalid` (with file, line and column), `config-not-found`, `file-unreadable`,
 *   `target-exists`, `usage`
 */
export async function prepareMigration(options: MigrateOptions): Promise<PreparedMigration> {
  const inputs = await Promise.all(options.files.map((file) => readInput(file, options.stdin)));
  const ours = inputs.filter(isOurs);
  const others = inputs.filter((input) => !ours.includes(input));
  if (ours.length > 0 && others.length > 0) {
    throw new GranaryError(
      'usage',
      `${ours[0]?.file} is configuration of Granary, ${others[0]?.file} is not`,
      {
        hint: 'migrate them one after the other',
      },
    );
  }
  if (others.length === 0) return prepareOurs(options.root ?? '.', ours, options.outputDir);
  if (options.root !== null) {
    throw new GranaryError('usage', '--path is for seeds of a Granary configuration', {
      hint: "name where to write what is made of other programs' manifests with --output-dir",
    });
  }
  return prepareOthers(others, options.outputDir);
}

async function prepareOurs(
  root: string,
  inputs: readonly ConfigurationFile[],
  outputDir: string | null,
): Promise<PreparedMigration> {
  if (outputDir !== null) {
    throw new GranaryError('usage', '--output-dir is for manifests of other programs', {
      hint: 'a Granary configuration is rewritten where it is: name its folder with --path',
    });
  }
  const found = await readConfigurationFiles(root);
  if (found.count === 0) throw nothingThere(root);
  const folder = await realpath(root);
  const chosen = new Set(await Promise.all(inputs.map((input) => withinRoot(folder, found, input))));
  const isChosen = (file: string) => chosen.size === 0 || chosen.has(file);
  const configuration = configurationOf(found);
  requireSound(found, configuration, isChosen);
  const migration = migrateBackups(found, configuration, isChosen);
  await refuseExisting(folder, migration);
  return { ...migration, folder, from: 'ours' };
}

/** Policies of the whole repository decide what `backup:` stands for, so what the seeds reach must be without errors. */
function requireSound(
  found: FoundFiles,
  configuration: ReturnType<typeof configurationOf>,
  isChosen: (file: string) => boolean,
): void {
  const unparsed = configuration.diagnostics.filter(
    ({ code, severity, file }) => severity === 'error' && code.startsWith('yaml-') && isChosen(file),
  );
  if (unparsed.length > 0) throw new InvalidConfiguration(configuration, unparsed);
  const seeds = found.files
    .filter(({ file }) => isChosen(file))
    .flatMap(soundSeeds(configuration.diagnostics));
  const errors = new Set(seeds.flatMap((seed) => closureOf(configuration, seed)).filter(isError));
  if (errors.size > 0) throw new InvalidConfiguration(configuration, [...errors]);
}

function soundSeeds(diagnostics: readonly Diagnostic[]): (file: ConfigurationFile) => string[] {
  const broken = new Set(diagnostics.filter(({ code }) => code.startsWith('yaml-')).map(({ file }) => file));
  return (file) => (broken.has(file.file) ? [] : seedsWithBackup(file));
}

async function withinRoot(folder: string, found: FoundFiles, { file }: ConfigurationFile): Promise<string> {
  if (file !== '-') {
    const path = relative(folder, await realpath(file))
      .split(sep)
      .join('/');
    if (found.files.some((one) => one.file === path)) return path;
  }
  const what =
    file === '-'
      ? 'a Granary configuration cannot come from stdin'
      : `${file} is no file of the configuration in ${folder}`;
  throw new GranaryError('usage', what, {
    hint: 'name its folder with --path, and the file as it is in there',
  });
}

async function prepareOthers(
  inputs: readonly ConfigurationFile[],
  outputDir: string | null,
): Promise<PreparedMigration> {
  const migration = migrateOthers(inputs);
  const existing = await existingFiles(outputDir);
  const folder = outputDir === null ? null : resolve(outputDir);
  if (folder !== null) await refuseExisting(folder, migration);
  const problems = problemsOf(existing, migration, folder);
  const rules = folder === null ? null : await findSopsRules(folder).catch(() => null);
  const hasTemplates = migration.files.some(({ path }) => path.endsWith('.template'));
  const steps = hasTemplates && rules === null ? [sopsRulesStep, ...migration.steps] : migration.steps;
  return { ...migration, steps: [...problems, ...steps], folder, from: 'others' };
}

const sopsRulesStep =
  'say in .sops.yaml for whom Credentials are encrypted, if it is not there yet (`granary init` writes one to copy)';

/** A folder that is not there yet is empty. */
async function existingFiles(folder: string | null): Promise<FoundFiles> {
  const none = { files: [], diagnostics: [], count: 0 };
  if (folder === null) return none;
  const isThere = await realpath(folder).then(
    () => true,
    () => false,
  );
  return isThere ? await readConfigurationFiles(folder) : none;
}

/** What `validate` will find wrong with the new files, apart from Credentials that are still templates. */
function problemsOf(existing: FoundFiles, migration: Migration, folder: string | null): string[] {
  const added = migration.files.filter(({ path }) => /\.ya?ml$/.test(path));
  const isNew = (file: string) => added.some(({ path }) => path === file);
  const { diagnostics } = configurationOf(overlaid(existing, added));
  const errors = diagnostics.filter((one) => isError(one) && isNew(one.file));
  const twice = errors.find(({ code }) => code === 'duplicate-name');
  if (twice !== undefined) {
    throw new GranaryError('target-exists', `${twice.message}; nothing was written`, {
      hint: 'write into an empty folder with --output-dir, and take from it what you need',
      context: { folder },
    });
  }
  return errors
    .filter(({ code, message }) => !(code === 'unknown-reference' && message.startsWith('credential ')))
    .map(
      ({ file, line, message, hint }) =>
        `mend ${file}:${line}: ${message}${hint === null ? '' : ` (${hint})`}`,
    );
}

async function readInput(file: string, stdin: MigrateOptions['stdin']): Promise<ConfigurationFile> {
  if (file === '-') return { file, text: await stdin() };
  const read = await readNamedFile(file);
  if ('text' in read) return read;
  throw new GranaryError('file-unreadable', `${file}: ${read.message}`, {
    hint: read.hint ?? 'name the YAML file itself',
    context: { file },
  });
}

function nothingThere(root: string): GranaryError {
  return new GranaryError(
    'config-not-found',
    `there is no configuration in ${root}: no *.yaml or *.yml file`,
    {
      hint: 'give its folder with --path, or name the manifests of another program to migrate',
      context: { path: root },
    },
  );
}

/** Said before anything is written, and looked at again when it is. A link counts as there, wherever it leads. */
async function refuseExisting(folder: string, { files }: Migration): Promise<void> {
  for (const { path, before } of files) {
    if (before !== null) continue;
    const target = join(folder, path);
    if ((await lstat(target).catch(() => null)) === null) continue;
    throw new GranaryError(
      'target-exists',
      `${target} is there already and is left as it is; nothing was written`,
      {
        hint: 'move it away, and migrate again',
        context: { path: target },
      },
    );
  }
}

function isError({ severity }: Diagnostic): boolean {
  return severity === 'error';
}
