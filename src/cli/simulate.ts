import { type Command, InvalidArgumentError, Option } from 'commander';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import { withOutput, withSource } from './options.ts';
import type { SimulateOptions } from './simulate-rules.ts';

/** `simulate`: what rules keep, before anybody applies them. */
export function addSimulate(program: Command, io: Io): Command {
  const command = program
    .command('simulate')
    .summary('what retention rules would keep of a year of backups')
    .description(
      'Decides about imagined backups by the rules that removal itself goes by, and shows what stays and why. Nothing is contacted. The three newest always stay (the floor).',
    )
    .addOption(new Option('--policy <name>', 'the rules and the schedule of this policy').conflicts('keep'))
    .option('--keep <rules>', 'rules: last, hourly, daily, weekly, monthly, yearly, within')
    .option('--days <count>', 'how many days of backups, up to now', readDays, 365)
    .option('--cron <schedule>', `when they are made (default: the policy's, else "0 * * * *")`)
    .addOption(
      new Option('--times <file>', 'the times of the backups instead: a JSON array, RFC 3339').conflicts([
        'cron',
        'days',
      ]),
    )
    .option('--now <time>', 'the moment to decide at, as 2026-11-21T14:00:00Z (default: now)')
    .option('--time-zone <zone>', "of days, weeks and the schedule (default: the policy's, else UTC)");
  withSource(command);
  withOutput(command);
  withExamples(
    command,
    'granary simulate --policy hourly',
    'granary simulate --keep "daily=7,weekly=5,monthly=12" --cron "0 */6 * * *"',
    'granary simulate --keep last=3,within=48h --times times.json --now 2026-11-21T14:00:00Z -o json',
  );
  return command.action(async (options: SimulateOptions) => {
    const { runSimulate } = await import('./simulate-rules.ts');
    await runSimulate(io, options);
  });
}

function readDays(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) === 0)
    throw new InvalidArgumentError('Write a number of days.');
  return Number(text);
}
