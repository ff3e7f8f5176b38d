import type { Command } from 'commander';
import { withExamples } from './help.ts';
import { exitCodes, type Io } from './io.ts';
import { type KeyOptions, type OutputOptions, withKeys, withOutput } from './options.ts';
import { addRecipients } from './secrets-recipients.ts';
import { addRotate } from './secrets-rotate.ts';

interface FolderOptions {
  path?: string;
}

interface StateOptions {
  state?: string;
}

/** `secrets lint|verify|recipients|rotate`: credential files by themselves. */
export function addSecrets(program: Command, io: Io): Command {
  const command = program
    .command('secrets')
    .summary('check credential files, see who can read them, put new values in')
    .description(
      'Checks credential files by themselves, more strictly than `sops decrypt` does; says who can read them; puts new values in. A value is never shown.',
    );
  withExamples(
    command,
    'granary secrets lint credentials/*.sops.yaml',
    'granary secrets verify credentials/*.sops.yaml --age-key-file age.key',
    'granary secrets recipients',
    'granary secrets rotate eu-minio-key --set-from secretAccessKey=new.txt',
  );
  const lint = command
    .command('lint')
    .argument('<file...>', 'credential files')
    .summary('what can be said without a private key')
    .description(
      'Checks structure, encryption and recipients of credential files, and the rule in .sops.yaml for them. No private key is needed.',
    );
  withExamples(lint, 'granary secrets lint credentials/*.sops.yaml');
  withRulesFolder(lint);
  withOutput(lint, ['text', 'json', 'github']);
  lint.action((files: string[], options: FolderOptions & OutputOptions) => lintFiles(io, files, options));
  const verify = command
    .command('verify')
    .argument('<file...>', 'credential files')
    .summary('open them with the private key, and say which can be trusted')
    .description(
      'Opens credential files with the private key and checks that nothing in them was changed without SOPS, beside all that `secrets lint` checks.',
    );
  withExamples(verify, 'granary secrets verify credentials/*.sops.yaml --age-key-file age.key');
  withRulesFolder(verify);
  verify.option('--state <dir>', 'folder of an agent: what is older than it has accepted is rejected');
  withKeys(verify);
  withOutput(verify);
  verify.action((files: string[], options: FolderOptions & StateOptions & KeyOptions & OutputOptions) =>
    verifyFiles(io, files, options),
  );
  addRecipients(command, io);
  addRotate(command, io);
  return command;
}

function withRulesFolder(command: Command): Command {
  return command.option('--path <dir>', 'folder with .sops.yaml, or below it (default: the current one)');
}

async function lintFiles(
  io: Io,
  files: readonly string[],
  options: FolderOptions & OutputOptions,
): Promise<void> {
  const { lintSecrets } = await import('../execute/secrets.ts');
  const report = await import('../report/diagnostics.ts');
  const diagnostics = await lintSecrets(files, options.path ?? '.');
  const summary = { diagnostics, files: files.length };
  if (options.output === 'json') io.out(report.diagnosticsJson(summary));
  else if (options.output === 'github') io.out(report.diagnosticsGithub(summary));
  else io.out(report.diagnosticsText(summary, { width: io.width, color: io.color }));
  if (diagnostics.some(({ severity }) => severity === 'error')) io.exitCode = exitCodes.failed;
}

async function verifyFiles(
  io: Io,
  files: readonly string[],
  options: FolderOptions & StateOptions & KeyOptions & OutputOptions,
): Promise<void> {
  const { readIdentities, rememberedIn } = await import('./session.ts');
  const { verifySecrets } = await import('../execute/secrets.ts');
  const { printable } = await import('../report/text.ts');
  const items = await verifySecrets(files, options.path ?? '.', {
    identities: await readIdentities(io, options),
    remembered: rememberedIn(options.state),
    signal: io.signal,
  });
  if (options.output === 'json') io.out(JSON.stringify({ items }, null, 2));
  else {
    for (const { file, verdict, code, message, hint } of items) {
      const why = code === null ? '' : ` [${code}]`;
      io.out(`${verdict}  ${printable(file)}  ${printable(message)}${why}`);
      if (hint !== null) io.out(`        hint: ${printable(hint)}`);
    }
  }
  if (items.some(({ verdict }) => verdict === 'reject')) io.exitCode = exitCodes.failed;
}
