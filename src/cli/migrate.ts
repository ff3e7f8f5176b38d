import type { Command } from 'commander';
import type { PreparedMigration } from '../execute/migrate.ts';
import { usage } from '../model/errors.ts';
import { shellWord } from '../model/shell.ts';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import { type OutputOptions, withOutput } from './options.ts';
import { readStdin } from './stdin.ts';

interface MigrateCommandOptions extends OutputOptions {
  path?: string;
  outputDir?: string;
  yes?: true;
}

/** `migrate [FILE…]`: what is deprecated here, or belongs to another program, in today's words. */
export function addMigrate(program: Command, io: Io): Command {
  const command = program
    .command('migrate')
    .argument('[file...]', 'seeds of the configuration, or manifests of other programs; - is stdin')
    .summary('rewrite `backup:` of seeds, or what Kubermatic and Velero have')
    .description(
      [
        'Rewrites the deprecated `backup:` of seeds as a Destination and a Policy with the same bucket, prefix and names, so that every backup stays found; comments are kept.',
        'Of a Seed of Kubermatic (with its EtcdBackupConfigs) or a BackupStorageLocation of Velero it makes Destinations, Policies, a Seed to fill in, and templates of Credentials; secret values are neither read nor written.',
        'It shows the difference and what is left to do. With --yes it writes: all files or none, and none that it has not read.',
      ].join('\n\n'),
    )
    .option('--path <dir>', 'folder of the configuration (default: the current one)')
    .option('--output-dir <dir>', "where to write what is made of other programs' manifests")
    .option('--yes', 'write the files, instead of showing what would change');
  withOutput(command);
  withExamples(
    command,
    'granary migrate seeds/eu-west.yaml',
    'granary migrate --path fleet --yes',
    'granary migrate kubermatic-seed.yaml backup-configs.yaml --output-dir fleet',
    'kubectl get backupstoragelocations --all-namespaces --output yaml | granary migrate - --output-dir fleet --yes',
  );
  return command.action((files: string[], options: MigrateCommandOptions) => migrate(io, files, options));
}

async function migrate(io: Io, files: readonly string[], options: MigrateCommandOptions): Promise<void> {
  const { prepareMigration } = await import('../execute/migrate.ts');
  const { migrationJson, migrationText } = await import('../report/migration.ts');
  if (files.filter((file) => file === '-').length > 1)
    throw usage('`-` is there twice', 'stdin is read once');
  const prepared = await prepareMigration({
    root: options.path ?? null,
    files,
    stdin: readStdin,
    outputDir: options.outputDir ?? null,
  });
  const written = options.yes === true && prepared.files.length > 0;
  if (written) {
    const folder = requireFolder(prepared);
    const { writeAll } = await import('../execute/write-all.ts');
    io.signal.throwIfAborted();
    await writeAll(folder, prepared.files);
  }
  const next = nextCommands(prepared, files, options);
  const typed = prepared.from === 'ours' ? options.path : options.outputDir;
  const report = { ...prepared, written, next, place: typed === undefined || typed === '.' ? null : typed };
  if (options.output === 'json') io.out(migrationJson(report));
  else io.out(migrationText(report, { width: io.width, color: io.color }));
}

function requireFolder({ folder }: PreparedMigration): string {
  if (folder !== null) return folder;
  throw usage('it is not said where to write to', 'name the folder of the configuration with --output-dir');
}

function nextCommands(
  { files, from }: PreparedMigration,
  inputs: readonly string[],
  { path, outputDir, yes }: MigrateCommandOptions,
): string[] {
  if (files.length === 0) return [];
  const given = [...inputs.map(shellWord), ...(path === undefined ? [] : ['--path', shellWord(path)])];
  if (yes !== true) {
    const target = from === 'ours' ? [] : ['--output-dir', shellWord(outputDir ?? 'DIR')];
    return [['granary migrate', ...given, ...target, '--yes'].join(' ')];
  }
  const source = from === 'ours' ? path : outputDir;
  const where = source === undefined || source === '.' ? '' : ` --path ${shellWord(source)}`;
  return [`granary validate${where}`, ...(from === 'ours' ? [`granary plan${where}`] : [])];
}
