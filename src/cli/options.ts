/** Options that several commands share, each defined once. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { usage } from '../model/errors.ts';

export type OutputFormat = 'text' | 'json' | 'markdown' | 'github';

export interface SourceOptions {
  path?: string;
  repo?: string;
  ref?: string;
  seed?: string;
  state?: string;
}

/** Nothing but a bucket, in place of a configuration. */
export interface BucketOptions {
  from?: string;
  endpoint?: string;
  region?: string;
  caFile?: string;
  pathStyle?: boolean;
}

export interface KeyOptions {
  ageKeyFile: string[];
}

export interface OutputOptions {
  output: OutputFormat;
}

export interface ProgressOptions {
  progress: 'auto' | 'plain' | 'none';
}

/** Options under a heading of their own in the help. */
export function grouped(command: Command, heading: string, add: (command: Command) => Command): Command {
  const before = command.optionsGroup();
  add(command.optionsGroup(heading));
  return command.optionsGroup(before);
}

/** `--path DIR | --repo URL --ref REF`, `--seed`: where the configuration is. */
export function withSource(command: Command): Command {
  return grouped(command, 'Where the configuration is:', withSourceOptions);
}

function withSourceOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--path <dir>', 'folder with the configuration (default: the current one)').conflicts(
        'repo',
      ),
    )
    .option('--repo <url>', 'Git repository with the configuration: https, ssh or a path')
    .option('--ref <ref>', 'branch, tag or commit of --repo (default: its HEAD)')
    .option('--seed <name>', 'only this seed')
    .option(
      '--state <dir>',
      'folder for clones and for how new each credential was, kept between runs (default: nothing is kept)',
    );
}

/** `--from URL` and what stands beside it: for commands that only read backups, and need no configuration for that. */
export function withBucket(command: Command): Command {
  return grouped(command, 'Without a configuration:', withBucketOptions);
}

function withBucketOptions(command: Command): Command {
  const from = new Option(
    '--from <url>',
    's3://bucket/prefix, gs://bucket/prefix, azblob://account/container/prefix or file:///folder instead of a configuration; credentials come from the usual environment of the provider',
  );
  return command
    .addOption(from.conflicts(['path', 'repo', 'ref', 'state']))
    .option('--endpoint <url>', 'of the store behind --from, where it is not the provider itself')
    .option('--region <name>', 'of the bucket behind --from (default: AWS_REGION, us-east-1)')
    .option('--ca-file <file>', 'PEM of the authority that the store behind --from is signed by')
    .option('--path-style', 'bucket in the path and not in the host name, as MinIO wants it');
}

/** `--age-key-file FILE`, again for several. */
export function withKeys(command: Command): Command {
  return command.addOption(
    new Option(
      '--age-key-file <file>',
      'private key of age, or an OpenSSH ed25519 key without passphrase, for credentials and encrypted backups; may be given again (or SOPS_AGE_KEY_FILE, SOPS_AGE_KEY)',
    )
      .argParser((file: string, before: string[]) => [...before, file])
      .default([], 'none'),
  );
}

/** `-o`, with the formats that the command can write; the first is the default. */
export function withOutput(command: Command, formats: readonly OutputFormat[] = ['text', 'json']): Command {
  return command.addOption(
    new Option('-o, --output <format>', 'how results are written').choices([...formats]).default(formats[0]),
  );
}

/** `--progress auto|plain|none`. */
export function withProgress(command: Command): Command {
  return command.addOption(
    new Option('--progress <how>', 'bars on a terminal, plain lines, or none')
      .choices(['auto', 'plain', 'none'])
      .default('auto'),
  );
}

export interface DrillPlaceOptions {
  etcd?: string;
  scratch?: string;
}

/** `--etcd FILE`, `--scratch DIR`: for whoever makes drills. */
export function withDrillPlace(command: Command): Command {
  return grouped(command, 'Drills:', withDrillPlaceOptions);
}

function withDrillPlaceOptions(command: Command): Command {
  return command
    .option(
      '--etcd <file>',
      'the etcd of drills, of the version of the clusters (default: the one on the PATH)',
    )
    .option(
      '--scratch <dir>',
      'where drills put their data for a moment, open to nobody else (default: the temporary folder)',
    );
}

/** What `withDrillPlace` was given, as it stands from wherever it is read. */
export function drillPlace({ etcd, scratch }: DrillPlaceOptions): DrillPlaceOptions {
  return {
    // A name without a slash would be looked for on the PATH by whoever starts it.
    ...(etcd !== undefined && { etcd: resolve(etcd) }),
    ...(scratch !== undefined && { scratch: resolve(scratch) }),
  };
}

/**
 * An empty value is a variable of the shell that is not set: taken as it is, it would be the current folder.
 * @param except names of options that may be empty
 * @throws GranaryError `usage`
 */
export function requireValues(command: Command, except: readonly string[] = []): void {
  for (const option of command.options) {
    const name = option.attributeName();
    const values: unknown[] = [command.getOptionValue(name)].flat();
    if (!except.includes(name) && values.includes(''))
      throw usage(
        `\`${option.flags}\` needs a value`,
        'it is empty here: is a variable of the shell not set?',
      );
  }
}

/** The options that were given on the command line, as words of one. */
export function givenWords(command: Command, except: readonly string[]): string[] {
  return command.options.flatMap((option) => {
    const name = option.attributeName();
    if (except.includes(name) || command.getOptionValueSource(name) !== 'cli') return [];
    const value: unknown = command.getOptionValue(name);
    const flag = option.long ?? option.short ?? '';
    if (typeof value === 'boolean') return value === option.negate ? [] : [flag];
    return [value].flat().flatMap((each) => [flag, String(each)]);
  });
}
