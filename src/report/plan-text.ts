/** A plan for people at a terminal. */
import type { Action, Change, Plan } from '../model/generated/plan.ts';
import { printable, withoutCommands } from '../model/printable.ts';
import {
  blockedGroups,
  type ComparedWith,
  changeText,
  commitText,
  counted,
  digestText,
  lossText,
  outlooks,
  placeText,
  provenText,
  reasonText,
  signOf,
  slotText,
  summaryText,
} from './plan-words.ts';
import { wrap } from './text.ts';

export interface PlanTextOptions {
  /** Columns of the terminal. What does not fit goes to a line of its own below, and is never cut. */
  readonly width?: number;
  readonly colour?: boolean;
  /** How many lines each kind of action gets; the rest is counted. */
  readonly limit?: number;
  readonly comparedWith?: ComparedWith | undefined;
}

type Mark = '+' | '~' | '-' | 'x' | '!';

const colours: Readonly<Record<Mark, number>> = { '+': 32, '~': 33, '-': 31, x: 35, '!': 33 };
const clustersShown = 5;

/** The whole text, ending with a line feed. */
export function planText(plan: Plan, options: PlanTextOptions = {}): string {
  return `${[...planLines(plan, options)].join('\n')}\n`;
}

/**
 * The text line by line, each without its line feed; a long one may be wrapped, and is several then. Made as it is asked
 * for: of a hundred thousand removals there is never more than one in words.
 */
export function* planLines(plan: Plan, options: PlanTextOptions = {}): Generator<string, void, undefined> {
  const { width = 120, colour = false, limit = 20, comparedWith = 'applied' } = options;
  const mark = (sign: Mark): string => (colour ? `\u001b[${colours[sign]}m${sign}\u001b[0m` : sign);
  const blocked = new Set(plan.guards.flatMap((guard) => guard.blocks));
  const free = plan.actions.filter(({ id }) => !blocked.has(id));
  const nameOf = clusterNames(plan);
  const digest = digestText(plan, comparedWith);
  const shown = limited(free, limit);
  const blockedOnes = blockedRows(plan, mark('x'), nameOf);
  function* rows(): Generator<Row, void, undefined> {
    for (const item of shown) {
      yield 'left' in item ? item.left : actionRow(item, mark(signOf(item)), nameOf);
    }
    yield* blockedOnes;
  }
  const sections: readonly Iterable<string>[] = [
    [heading(plan, comparedWith === 'applied' ? 'last applied' : 'compared with')],
    plan.changes.flatMap((change) => changeLines(change, mark, width)),
    alignRows(rows, width),
    plan.warnings.map(
      ({ message, hint }) =>
        `  ${mark('!')} ${[indented(message, width, 4), ...hintLines(hint, width)].join('\n')}`,
    ),
    [
      `Plan: ${summaryText(plan)}.`,
      ...outlookLine(plan, nameOf).map((line) => indented(line, width, 0)),
      ...(digest === null ? [] : [indented(`${digest}.`, width, 0)]),
    ],
  ];
  let isFirst = true;
  for (const lines of sections) {
    let isBegun = false;
    for (const line of lines) {
      if (!isBegun && !isFirst) yield '';
      isBegun = true;
      isFirst = false;
      yield withoutCommands(line);
    }
  }
}

/** A text over as many lines as it needs, those after the first indented as far as the first begins. */
function indented(text: string, width: number, indent: number): string {
  return wrap(printable(text), width - indent).join(`\n${' '.repeat(indent)}`);
}

function hintLines(hint: string | null, width: number): string[] {
  return hint === null ? [] : [`      ${indented(`hint: ${hint}`, width, 6)}`];
}

/** The seeds that a plan speaks of. */
function seedsOf(plan: Plan): string[] {
  return [...new Set([...plan.forecast, ...plan.actions].map(({ seed }) => seed))];
}

/** With one seed its name stands in the heading, and clusters go without it. */
function clusterNames(plan: Plan): (seed: string, cluster: string) => string {
  return seedsOf(plan).length > 1 ? (seed, cluster) => `${seed}/${cluster}` : (_, cluster) => cluster;
}

function heading(plan: Plan, basis: string): string {
  const seeds = plan.seed === null ? seedsOf(plan) : [plan.seed];
  const subject =
    seeds.length === 1
      ? `Seed ${seeds[0]}`
      : seeds.length === 0
        ? 'Configuration'
        : counted(seeds.length, 'seed');
  const base = plan.base === null ? '' : `, ${basis} ${commitText(plan.base)}`;
  return `${subject} at ${commitText(plan.commit)}${base}`;
}

function changeLines(
  { kind, name, change, fields, consequences }: Change,
  mark: (sign: Mark) => string,
  width: number,
): string[] {
  const signs = { add: '+', change: '~', remove: '-' } as const;
  const pathWidth = Math.max(18, ...fields.map(({ path }) => path.length));
  return [
    `  ${mark(signs[change])} ${kind} ${printable(name)}`,
    ...fields.map((field) => `      ${printable(field.path).padEnd(pathWidth)} ${changeText(field)}`),
    ...consequences.map((text) => `      ${mark('!')} ${indented(text, width, 8)}`),
  ];
}

/** Cells of a line; the first is the mark, of one column whatever its colour, and the last is the reason. */
interface Row {
  readonly mark: string;
  readonly cells: readonly string[];
  readonly reason: string;
  readonly hint: string | null;
}

function actionRow(action: Action, mark: string, nameOf: (seed: string, cluster: string) => string): Row {
  return {
    mark,
    cells: [
      action.type,
      nameOf(action.seed, action.cluster),
      `${action.policy} ${slotText(action.slot)}`,
      placeText(action),
    ],
    reason: reasonText(action),
    hint: null,
  };
}

function blockedRows(plan: Plan, mark: string, nameOf: (seed: string, cluster: string) => string): Row[] {
  const groups = blockedGroups(plan).map(({ guard, seed, cluster, what }): Row => {
    // The cluster stands in its own column already.
    const reason = guard.message.replace(`${seed}/${cluster} is `, '');
    return {
      mark,
      cells: ['blocked', nameOf(seed, cluster), what, ''],
      reason: printable(reason),
      hint: guard.hint,
    };
  });
  const others = plan.guards
    .filter(({ blocks }) => blocks.length === 0)
    .map((guard): Row => ({ mark, cells: [], reason: guard.message, hint: guard.hint }));
  return [...groups, ...others];
}

/** Actions, each type cut at the limit, with a line that counts what was left out. */
function limited(actions: readonly Action[], limit: number): (Action | { readonly left: Row })[] {
  const types = [...new Set(actions.map((action) => action.type))];
  return types.flatMap((type) => {
    const all = actions.filter((action) => action.type === type);
    const shown = all.slice(0, limit);
    const left = all.length - shown.length;
    if (left === 0) return shown;
    return [
      ...shown,
      {
        left: {
          mark: ' ',
          cells: [],
          reason: `${left} more to ${verbs[type]}; -o json has them all`,
          hint: null,
        },
      },
    ];
  });
}

const verbs = {
  backup: 'back up',
  copy: 'copy',
  undelete: 'undelete',
  tombstone: 'tombstone',
  delete: 'delete',
  sweep: 'sweep',
  drill: 'drill',
} as const;

/** @param rows gives them anew each time: they are looked at once for the widths of the columns, and once to be written */
function* alignRows(rows: () => Iterable<Row>, width: number): Generator<string, void, undefined> {
  const columns = [0, 0, 0, 0];
  for (const { cells } of rows()) {
    for (const [column, cell] of cells.entries())
      columns[column] = Math.max(columns[column] ?? 0, cell.length);
  }
  for (const row of rows()) yield* alignedRow(row, columns, width);
}

function alignedRow(
  { mark, cells, reason, hint }: Row,
  columns: readonly number[],
  width: number,
): readonly string[] {
  const text = cells.map((cell, column) => cell.padEnd(columns[column] ?? 0)).join('   ');
  const hints = hintLines(hint, width);
  if (text === '') return [`  ${mark} ${indented(reason, width, 4)}`, ...hints];
  // The mark may carry a colour, so its column is counted and not measured.
  const fits = 4 + text.length + 3 + reason.length <= width;
  const line = `  ${mark} ${text}`;
  if (fits) return [`${line}   ${reason}`, ...hints];
  return [line.trimEnd(), `      ${indented(reason, width, 6)}`, ...hints];
}

function outlookLine(plan: Plan, nameOf: (seed: string, cluster: string) => string): string[] {
  const all = outlooks(plan.forecast);
  if (all.length === 0) return [];
  const now = new Date(plan.generatedAt);
  const shown = all.slice(0, clustersShown);
  const more = all.length > shown.length ? `, ${counted(all.length - shown.length, 'cluster')} less` : '';
  const short = (name: string): string => {
    const [seed = '', cluster = ''] = name.split('/');
    return nameOf(seed, cluster);
  };
  const losses = shown.map((one) => `${short(one.name)} ${lossText(one)}`).join(', ');
  const proofs = shown.map((one) => `${short(one.name)} ${provenText(one, now)}`).join(', ');
  return [`Worst loss today: ${losses}${more}. Last proof: ${proofs}.`];
}
