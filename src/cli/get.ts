import type { Command } from 'commander';
import type { BackupList } from '../execute/list.ts';
import { usage, withoutDestination } from '../model/errors.ts';
import { formatBackupRef } from '../model/names.ts';
import type { Listing } from '../report/configured.ts';
import { withExamples } from './help.ts';
import { exitCodes, type Io, worst } from './io.ts';
import {
  type BucketOptions,
  type KeyOptions,
  type OutputOptions,
  type SourceOptions,
  withBucket,
  withKeys,
  withOutput,
  withSource,
} from './options.ts';
import { addFilter, cellText, type Filter, matchesAll, requireFields, sorted } from './rows.ts';
import type { ReadingSession, Session } from './session.ts';

interface GetOptions extends SourceOptions, BucketOptions, KeyOptions, OutputOptions {
  filter: Filter[];
  sort?: string;
  all?: boolean;
}

const kinds = ['seeds', 'clusters', 'destinations', 'credentials', 'policies', 'backups'] as const;

/** What the name of a copy says: filters of these need no manifest. */
const nameFields = ['id', 'seed', 'cluster', 'policy', 'slot', 'destination'];

/** Backups that a table shows before it counts the rest. */
const shownBackups = 20;

/** `get KIND`: what the configuration names, and the backups that there are. */
export function addGet(program: Command, io: Io): Command {
  const command = program
    .command('get')
    .argument('<kind>', kinds.join(', '))
    .summary('list what is configured, or the backups there are')
    .description(
      'Lists seeds, clusters, destinations, credentials or policies of the configuration, or the backups that really lie in the destinations. How ready a destination is says its last probe, as the agent wrote it down there; one that does not answer in 10 seconds is `unknown`. Of a credential no value is shown but the ends of an access key id, and those only with the private key.',
    )
    .option('--filter <field=value>', 'only rows where this holds; may be given again', addFilter, [])
    .option('--sort <field>', 'in the order of this field; `-FIELD` from the largest down')
    .option('--all', `all backups, not only the newest ${shownBackups}`);
  withSource(command);
  withBucket(command);
  withKeys(command);
  withOutput(command);
  withExamples(
    command,
    'granary get backups --filter cluster=prod-a',
    'granary get backups --from s3://etcd-backups/prod --endpoint https://minio.example:9000',
    'granary get clusters -o json',
    'granary get credentials --sort lastModifiedAt',
  );
  return command.action((kind: string, options: GetOptions) => get(io, kind, options));
}

async function get(io: Io, kind: string, options: GetOptions): Promise<void> {
  const known = kinds.find((one) => one === kind);
  if (known === undefined)
    throw usage(`\`${kind}\` is no kind that can be listed`, `these can: ${kinds.join(', ')}`);
  const { listedFields } = await import('../report/fields.ts');
  requireFields(listedFields[known], options.filter, options.sort);
  const { openReading, openSession } = await import('./session.ts');
  if (known === 'backups') {
    await using session = await openReading(io, options);
    return await getBackups(io, session, options);
  }
  if (options.from !== undefined)
    throw usage(`a bucket alone has no ${known}`, '`granary get backups` lists what it holds');
  await using session = await openSession(io, options);
  const { columns, items } = await rowsOf(io, session, known, options);
  const shown = sorted(
    items.filter((item) => matchesAll(item, options.filter)),
    options.sort,
  );
  if (options.output === 'json') {
    io.out(JSON.stringify({ items: shown }, null, 2));
    return;
  }
  const { table } = await import('../report/table.ts');
  const cells = shown.map((item) =>
    columns.map(({ field, shorten }) => (shorten ?? String)(cellText(item[field]))),
  );
  io.out(table(columns, cells, { width: io.width }));
  for (const { name, readinessDetail } of shown) {
    if (typeof readinessDetail === 'string') io.out(`${String(name)}: ${readinessDetail}`);
  }
}

async function rowsOf(
  io: Io,
  { workspace, source }: Session,
  kind: Exclude<(typeof kinds)[number], 'backups'>,
  { seed }: GetOptions,
): Promise<Listing> {
  const report = await import('../report/configured.ts');
  if (kind === 'destinations') {
    const { listReadiness } = await import('../execute/destination-list.ts');
    const readiness = await listReadiness(workspace, { seed, signal: io.signal });
    return report.configuredRows(kind, workspace.desired, seed, readiness);
  }
  if (kind !== 'credentials') return report.configuredRows(kind, workspace.desired, seed);
  const { listCredentials } = await import('../execute/credential-list.ts');
  const history = await source.history({ signal: io.signal });
  const items = await listCredentials(workspace, { history, seed });
  return { columns: report.credentialColumns, items: items.map((item) => ({ ...item })) };
}

async function getBackups(io: Io, session: ReadingSession, options: GetOptions): Promise<void> {
  const { listBackups } = await import('../execute/list.ts');
  const json = options.output === 'json';
  const named = options.filter.filter(([field]) => nameFields.includes(field));
  const opened = options.filter.filter(([field]) => !nameFields.includes(field));
  const all = json || options.all === true || options.sort !== undefined || opened.length > 0;
  const list = await listBackups(session.workspace, {
    signal: io.signal,
    now: new Date(),
    seed: options.seed,
    matches: (copy) => matchesAll({ ...copy, id: formatBackupRef({ ...copy, destination: null }) }, named),
    limit: all ? undefined : shownBackups,
  });
  const items = sorted(
    list.items.filter((item) => matchesAll({ ...item }, opened)),
    options.sort,
  );
  if (json) io.out(JSON.stringify({ items }, null, 2));
  else io.out(await backupsTable({ ...list, items }, io.width));
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
