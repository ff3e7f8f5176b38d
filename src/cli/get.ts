import type { Command } from 'commander';
import type { BackupList } from '../execute/list.ts';
import { withoutDestination } from '../model/errors.ts';
import { usage } from './failure.ts';
import { exitCodes, type Io, worst } from './io.ts';
import {
  type KeyOptions,
  type OutputOptions,
  type SourceOptions,
  withKeys,
  withOutput,
  withSource,
} from './options.ts';
import type { Session } from './session.ts';

interface GetOptions extends SourceOptions, KeyOptions, OutputOptions {
  filter: [field: string, value: string][];
  all?: boolean;
}

const kinds = ['seeds', 'clusters', 'destinations', 'policies', 'backups'] as const;

/** Backups that a table shows before it counts the rest. */
const shownBackups = 20;

/** `get KIND`: what the configuration names, and the backups that there are. */
export function addGet(program: Command, io: Io): Command {
  const command = program
    .command('get')
    .argument('<kind>', kinds.join(', '))
    .summary('list what is configured, or the backups there are')
    .description(
      'Lists seeds, clusters, destinations or policies of the configuration, or the backups that really lie in the destinations.',
    )
    .option('--filter <field=value>', 'only rows where this holds; may be given again', addFilter, [])
    .option('--all', `all backups, not only the newest ${shownBackups}`)
    .addHelpText(
      'after',
      '\nExamples:\n  granary get backups --filter cluster=prod-a\n  granary get clusters -o json',
    );
  withSource(command);
  withKeys(command);
  withOutput(command);
  return command.action((kind: string, options: GetOptions) => get(io, kind, options));
}

function addFilter(text: string, before: GetOptions['filter']): GetOptions['filter'] {
  const [, field, value] = /^([A-Za-z]+)=(.*)$/.exec(text) ?? [];
  if (field === undefined || value === undefined) {
    throw usage(`\`${text}\` is not a filter`, 'write FIELD=VALUE, as in cluster=prod-a');
  }
  return [...before, [field, value]];
}

async function get(io: Io, kind: string, options: GetOptions): Promise<void> {
  const known = kinds.find((one) => one === kind);
  if (known === undefined)
    throw usage(`\`${kind}\` is no kind that can be listed`, `these can: ${kinds.join(', ')}`);
  const { openSession } = await import('./session.ts');
  await using session = await openSession(io, options);
  if (known === 'backups') return getBackups(io, session, options);
  const { configuredRows } = await import('../report/listing.ts');
  const { table } = await import('../report/table.ts');
  const { columns, items } = configuredRows(known, session.workspace.desired, options.seed);
  const shown = items.filter((item) => matchesAll(item, options.filter));
  if (options.output === 'json') {
    io.out(JSON.stringify({ items: shown }, null, 2));
    return;
  }
  const cells = shown.map((item) => columns.map(({ field }) => cell(item[field])));
  io.out(table(columns, cells, { width: io.width }));
}

async function getBackups(io: Io, session: Session, options: GetOptions): Promise<void> {
  const { listBackups } = await import('../execute/list.ts');
  const json = options.output === 'json';
  const list = await listBackups(session.workspace, {
    signal: io.signal,
    now: new Date(),
    seed: options.seed,
    matches: (copy) => matchesAll({ ...copy }, options.filter),
    limit: json || options.all === true ? undefined : shownBackups,
  });
  if (json) io.out(JSON.stringify({ items: list.items }, null, 2));
  else io.out(await backupsTable(list, io.width));
  for (const { name, reason } of list.unknown)
    io.warn(`${name} could not be read, so there may be more: ${withoutDestination(name, reason)}`);
  if (list.unknown.length > 0) io.exitCode = worst(io.exitCode, exitCodes.partly);
}

async function backupsTable({ items, hidden, unknown }: BackupList, width: number): Promise<string> {
  const { backupRows, backupColumns } = await import('../report/listing.ts');
  const { table } = await import('../report/table.ts');
  const rows = backupRows(items, new Date());
  if (rows.length === 0)
    return unknown.length === 0 ? 'There are no backups.' : 'No backups were found in what could be read.';
  const more = hidden > 0 ? `\n${hidden} more; --all for the rest` : '';
  return table(backupColumns, rows, { width }) + more;
}

/** Fields are compared as text; a field that is not there matches nothing. */
function matchesAll(item: Readonly<Record<string, unknown>>, filters: GetOptions['filter']): boolean {
  return filters.every(([field, value]) => cell(item[field]) === value);
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '';
  return Array.isArray(value) ? value.join(' ') : String(value);
}
