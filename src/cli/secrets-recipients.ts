import type { Command } from 'commander';
import { withExamples } from './help.ts';
import { exitCodes, type Io } from './io.ts';
import { type OutputOptions, withOutput } from './options.ts';

interface RecipientsOptions extends OutputOptions {
  path?: string;
}

/** `secrets recipients [FILE…]`: who can read what. */
export function addRecipients(secrets: Command, io: Io): void {
  const command = secrets
    .command('recipients')
    .argument('[file...]', 'credential files; none: every *.sops.yaml of the configuration')
    .summary('who can read which credential file, against .sops.yaml')
    .description(
      'Lists everybody for whom credential files are encrypted, with their files, and names each difference from the rules in .sops.yaml. No private key is needed. Where a file differs or cannot be understood the exit code is 1.',
    )
    .option(
      '--path <dir>',
      'folder of the configuration, with .sops.yaml or below it (default: the current one)',
    );
  withOutput(command);
  withExamples(command, 'granary secrets recipients', 'granary secrets recipients --path fleet -o json');
  command.action((files: string[], options: RecipientsOptions) => recipients(io, files, options));
}

async function recipients(io: Io, files: readonly string[], options: RecipientsOptions): Promise<void> {
  const { readersOf } = await import('../execute/recipients.ts');
  const report = await import('../report/recipients.ts');
  const readers = await readersOf(files, options.path ?? '.');
  if (options.output === 'json') io.out(report.recipientsJson(readers));
  else io.out(report.recipientsText(readers, { width: io.width, color: io.color }));
  const differs = readers.files.some(
    ({ added, missing, problem }) => added.length + missing.length > 0 || problem !== null,
  );
  if (differs) io.exitCode = exitCodes.failed;
}
