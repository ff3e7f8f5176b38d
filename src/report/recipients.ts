/** Who can read which credential file, for people and for programs. */
import type { FileReaders, RecipientFiles } from '../model/secrets.ts';
import { table } from './table.ts';
import { counted, paint, printable, type TextOptions } from './text.ts';

export interface ReadersReport {
  readonly items: readonly RecipientFiles[];
  readonly files: readonly FileReaders[];
}

/** As `secrets recipients -o json` gives it. */
export function recipientsJson({ items, files }: ReadersReport): string {
  return JSON.stringify({ items, files }, null, 2);
}

/** A table of recipients, then each difference from the rule with what to do, then the sum of it. */
export function recipientsText({ items, files }: ReadersReport, options: TextOptions): string {
  const rows = items.map(({ recipient, files: read, unnamed, closed }) => [
    recipient,
    String(read.length),
    ruleWord(unnamed, closed),
    read.length === files.length ? 'all' : read.join(' '),
  ]);
  const columns = [
    { title: 'RECIPIENT' },
    { title: 'READS', align: 'right' as const },
    { title: '.SOPS.YAML' },
    { title: 'FILES', least: 20 },
  ];
  const told = files.flatMap((file) => toldOf(file, options.color));
  const parts = [...(rows.length === 0 ? [] : [table(columns, rows, options)]), ...told, sum(items, files)];
  return parts.join('\n');
}

function ruleWord(unnamed: readonly string[], closed: readonly string[]): string {
  if (unnamed.length > 0) return `not named for ${unnamed.length}`;
  return closed.length > 0 ? `shut out of ${closed.length}` : 'as it says';
}

function toldOf({ file, rule, added, missing, problem }: FileReaders, color: boolean | undefined): string[] {
  const name = printable(file);
  const warning = paint('yellow', 'differs', color);
  const told: string[] = [];
  if (problem !== null) {
    told.push(`${paint('red', 'unknown', color)}  ${name}  ${printable(problem.message)} [${problem.code}]`);
    if (problem.hint !== null) told.push(`         hint: ${printable(problem.hint)}`);
  } else if (rule === null) told.push(`no rule  ${name}  no rule of .sops.yaml tells who should read it`);
  for (const recipient of added) {
    told.push(
      `${warning}  ${name}  can be read by ${printable(recipient)}, which .sops.yaml does not name`,
      `         hint: to take it away: \`sops updatekeys ${name}\`, \`sops rotate -i ${name}\`, then change the secret itself`,
    );
  }
  for (const recipient of missing) {
    told.push(
      `${warning}  ${name}  cannot be read by ${printable(recipient)}, which .sops.yaml names`,
      `         hint: \`sops updatekeys ${name}\``,
    );
  }
  return told;
}

function sum(items: readonly RecipientFiles[], files: readonly FileReaders[]): string {
  const differing = files.filter(({ added, missing }) => added.length + missing.length > 0).length;
  const unknown = files.filter(({ problem }) => problem !== null).length;
  const all = `${counted(items.length, 'recipient')}, ${counted(files.length, 'file')}`;
  const bad = [
    ...(differing === 0 ? [] : [`${differing} ${differing === 1 ? 'differs' : 'differ'} from .sops.yaml`]),
    ...(unknown === 0 ? [] : [`${unknown} cannot be understood`]),
  ];
  return `${all}${bad.length === 0 ? '' : `; ${bad.join(', ')}`}.`;
}
