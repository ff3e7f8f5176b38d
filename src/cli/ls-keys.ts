import type { KeyReader } from '../bolt/key-reader.ts';
import type { StoredKey } from '../bolt/keys.ts';
import { utf8 } from '../bolt/value-form.ts';
import { usage } from '../model/errors.ts';
import { kindOf, parseKubernetesKey } from '../model/kubernetes-key.ts';
import { formatBytes, formatCount } from '../model/units.ts';
import { padEnd, padStart, printable, textWidth } from '../report/text.ts';
import type { Io } from './io.ts';
import { keyJson, keyText } from './key-words.ts';
import { type LookOptions, openWhat, readerOf, readRevision } from './look.ts';
import { jsonPieces, printList } from './stdout.ts';

export interface LsOptions extends LookOptions {
  atRevision?: string;
  limit?: string;
}

/** Lists the keys that begin with `prefix`. @throws GranaryError `usage`, and as `openWhat` */
export async function list(io: Io, what: string, prefix: string, options: LsOptions): Promise<void> {
  const revision = readRevision(options.atRevision);
  const limit = readLimit(options.limit);
  await using snapshot = await openWhat(io, what, options);
  await using reader = await readerOf(io, snapshot, { prefix: Buffer.from(prefix), revision, values: false });
  // What is wrong with the file is told before anything is printed.
  const { revision: shownAt, compactRevision } = await reader.first();
  const counts = { keys: 0, hidden: 0 };
  const shown = counted(reader, limit, counts);
  if (options.output === 'json') {
    const items = mapped(shown);
    const rest = () => ({ revision: shownAt, compactRevision, ...counts });
    await printList(jsonPieces(items, rest));
    return;
  }
  await printList(tableOf(shown));
  const hidden = counts.hidden > 0 ? `, ${formatCount(counts.hidden)} of them not shown (--limit)` : '';
  io.err(
    `${formatCount(counts.keys)} key${counts.keys === 1 ? '' : 's'} at revision ${formatCount(shownAt)}${hidden}`,
  );
}

async function* counted(
  reader: KeyReader,
  limit: number,
  counts: { keys: number; hidden: number },
): AsyncGenerator<StoredKey> {
  for await (const record of reader.records()) {
    counts.keys += 1;
    if (counts.keys <= limit) yield record;
    else counts.hidden += 1;
  }
}

async function* mapped(records: AsyncIterable<StoredKey>): AsyncGenerator<object> {
  for await (const record of records) yield keyJson(record);
}

/** Rows are aligned in groups of so many, as there may be more of them than fit in memory. */
const groupRows = 500;
const plainTitles = ['REVISION', 'SIZE', 'KEY'];
const objectTitles = ['REVISION', 'SIZE', 'KIND', 'NAMESPACE', 'NAME', 'KEY'];

async function* tableOf(records: AsyncIterable<StoredKey>): AsyncGenerator<string> {
  const widths: number[] = [];
  let titles: readonly string[] = [];
  let group: StoredKey[] = [];
  const flush = (): string => {
    const hasObjects = group.some(({ key }) => parseKubernetesKey(utf8(key) ?? '') !== undefined);
    const rows = group.map((record) => cellsOf(record, hasObjects));
    const wanted = hasObjects ? objectTitles : plainTitles;
    const all = wanted === titles || rows.length === 0 ? rows : [wanted, ...rows];
    if (wanted !== titles) widths.length = 0;
    titles = wanted;
    group = [];
    widen(widths, all);
    return all.map((cells) => `${alignedLine(cells, widths)}\n`).join('');
  };
  for await (const record of records) {
    group.push(record);
    if (group.length === groupRows) yield flush();
  }
  yield flush();
}

function cellsOf(record: StoredKey, withObject: boolean): string[] {
  const { key, modRevision, valueLength } = record;
  const object = parseKubernetesKey(utf8(key) ?? '');
  const read =
    object === undefined
      ? ['', '', '']
      : [kindOf(object), object.namespace ?? '', object.name].map(printable);
  return [formatCount(modRevision), formatBytes(valueLength), ...(withObject ? read : []), keyText(key)];
}

/** Columns only get wider from one group to the next. */
function widen(widths: number[], rows: readonly (readonly string[])[]): void {
  for (const cells of rows) {
    for (const [index, cell] of cells.entries())
      widths[index] = Math.max(widths[index] ?? 0, textWidth(cell));
  }
}

/** Numbers stand right; the key comes last and is never cut. */
function alignedLine(cells: readonly string[], widths: readonly number[]): string {
  const last = cells.length - 1;
  return cells
    .map((cell, index) => {
      const width = index === last ? 0 : (widths[index] ?? 0);
      return index < 2 ? padStart(cell, width) : padEnd(cell, width);
    })
    .join('  ');
}

/** @throws GranaryError `usage` */
function readLimit(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw usage(`\`${text}\` is no number of keys`, 'give a whole number from 1 on');
}
