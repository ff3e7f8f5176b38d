import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { Rotation } from '../execute/rotate.ts';
import { type CheckResult, failures } from '../model/check.ts';
import { usage } from '../model/errors.ts';
import type { RotationOutcome } from '../model/secrets.ts';
import { shellWord } from '../model/shell.ts';
import type { Secret } from '../secrets/secret.ts';
import { withExamples } from './help.ts';
import { exitCodes, type Io } from './io.ts';
import { type KeyOptions, type OutputOptions, withKeys, withOutput } from './options.ts';
import { readStdin } from './stdin.ts';

interface RotateCommandOptions extends KeyOptions, OutputOptions {
  path?: string;
  state?: string;
  dataFile?: string;
  setFrom: string[];
  yes?: true;
}

/** `secrets rotate FILE|CREDENTIAL`: new values, tried before they are written. */
export function addRotate(secrets: Command, io: Io): void {
  const command = secrets
    .command('rotate')
    .argument('<credential>', 'name of a Credential, or its file')
    .summary('put new values into a credential once they work wherever it is used')
    .description(
      [
        'Says who uses a credential, tries new values at each destination and cluster that does, and only if all of them work, and with --yes, replaces the file in one step. A small object is written to each destination and removed again, as `granary check` does.',
        'The values come from files or stdin, never from the command line, where others could see them. Those that are not named stay. For whom the file is encrypted stays too.',
      ].join('\n\n'),
    )
    .option(
      '--data-file <file>',
      'new values: a map of names in `data` and texts, in YAML or JSON; - is stdin',
    )
    .addOption(
      new Option(
        '--set-from <name=file>',
        'new value of one name in `data`: all of a file, or of stdin (-); may be given again',
      )
        .argParser((given: string, before: string[]) => [...before, given])
        .default([], 'none'),
    )
    .option('--yes', 'write the file; without it, only try')
    .option('--path <dir>', 'folder of the configuration (default: the current one)')
    .option('--state <dir>', 'folder where it is remembered how new each credential was (default: nowhere)');
  withKeys(command);
  withOutput(command);
  withExamples(
    command,
    'granary secrets rotate eu-minio-key --set-from secretAccessKey=new.txt',
    'granary secrets rotate eu-minio-key --data-file new.yaml --yes',
    'vault kv get -format=json -field=data kv/eu-minio | granary secrets rotate eu-minio-key --data-file - --yes',
  );
  command.action((target: string, options: RotateCommandOptions) => rotate(io, target, options));
}

async function rotate(io: Io, target: string, options: RotateCommandOptions): Promise<void> {
  const { openSourceOf, readIdentities, rememberedIn } = await import('./session.ts');
  const { prepareRotation } = await import('../execute/rotate.ts');
  const { checkText } = await import('../report/check.ts');
  const { rotationEnd, rotationHead, rotationJson } = await import('../report/rotation.ts');
  const values = await readValues(options);
  const identities = await readIdentities(io, options);
  await using source = await openSourceOf(io, { path: options.path ?? '.' });
  const rotation = await prepareRotation(source, {
    ...{ target, values, identities, signal: io.signal, now: new Date() },
    remembered: rememberedIn(options.state),
  });
  const { credential, file, changed, usedBy } = rotation;
  const json = options.output === 'json';
  if (!json) io.out(rotationHead(credential.name, file, changed, usedBy));
  const checks: CheckResult[] = [];
  for await (const check of rotation.check()) {
    checks.push(check);
    if (!json) io.out(checkText(check, io));
  }
  let outcome: RotationOutcome = 'dry-run';
  if (checks.some((check) => failures(check) > 0)) {
    outcome = 'refused';
    io.exitCode = exitCodes.failed;
  } else if (options.yes === true) {
    await rotation.write();
    outcome = 'written';
  }
  const next = nextSteps(rotation, outcome, options.path);
  const report = { credential: credential.name, file, changed, usedBy, checks, outcome, next };
  io.out(json ? rotationJson(report) : rotationEnd(report));
}

/** @throws GranaryError `usage`, `file-unreadable`. What was given is in none of them: it may be the secret itself. */
async function readValues({ dataFile, setFrom }: RotateCommandOptions): Promise<Map<string, Secret>> {
  const { requireName, valueOfFile, valuesOfDocument } = await import('../secrets/new-values.ts');
  const values =
    dataFile === undefined ? new Map() : valuesOfDocument(await contentOf('--data-file', dataFile));
  let stdinIsTaken = dataFile === '-';
  for (const given of setFrom) {
    const [, key = '', file = ''] = /^([^=]*)=(.+)$/s.exec(given) ?? [];
    if (file === '') throw usage('`--set-from` lacks the file', 'write --set-from NAME=FILE');
    const name = requireName(key);
    if (values.has(name)) throw usage(`${name} is given twice`, 'give each name once');
    if (file === '-' && stdinIsTaken) throw usage('`-` is there twice', 'stdin is read once');
    stdinIsTaken ||= file === '-';
    values.set(name, valueOfFile(name, await contentOf(`--set-from ${name}=`, file)));
  }
  if (values.size > 0) return values;
  throw usage(
    'no new value is given',
    'name a file with --set-from NAME=FILE or --data-file FILE; a secret itself does not belong on the command line',
  );
}

async function contentOf(option: string, file: string): Promise<string> {
  if (file === '-') return readStdin();
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw usage(
      `the file of \`${option}\` cannot be read (${code})`,
      'give the path of a file; if it was the secret itself, others may have seen it on the command line: make a new one',
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw usage(`the file of \`${option}\` is not UTF-8`, 'write binary values as base64');
  }
}

function nextSteps(
  { credential, file, usedBy }: Rotation,
  outcome: RotationOutcome,
  path?: string,
): string[] {
  if (outcome === 'refused')
    return ['mend what failed at the provider, or give other values, and run it again'];
  if (outcome === 'dry-run') return [];
  const git = path === undefined || path === '.' ? 'git' : `git -C ${shellWord(path)}`;
  const places = [...usedBy.destinations, ...usedBy.clusters];
  const check = places.length === 1 ? ` ${places[0]}` : '';
  return [
    `${git} commit -m "Rotate ${credential.name}" -- ${shellWord(file)}`,
    `${git} push`,
    ...(usedBy.seeds.length === 0
      ? []
      : [`wait until the agents of ${usedBy.seeds.join(', ')} say that this commit is in use`]),
    'only then delete the old key at the provider: until then agents sign in with it',
    `granary check${check}`,
  ];
}
