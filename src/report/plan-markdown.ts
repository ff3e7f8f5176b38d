/** A plan for a pull request: the worst news in one line, then the rest folded. All text is escaped. */
import type { Change, Plan } from '../model/generated/plan.ts';
import { isRefusal } from '../plan/lifecycle.ts';
import {
  blockedGroups,
  type ComparedWith,
  changeText,
  commitText,
  counted,
  digestText,
  holdingsText,
  lossText,
  outlooks,
  placeText,
  provenText,
  reasonText,
  slotText,
  summaryText,
} from './plan-words.ts';
import { printable, shorten } from './text.ts';

export interface PlanMarkdownOptions {
  /** Characters at most, 1,000 at least. GitHub refuses comments above 65,536. */
  readonly limit?: number;
  readonly comparedWith?: ComparedWith | undefined;
}

/** Characters that a plan gets at least, so that its worst news is told; those beyond are counted. */
const leastRoom = 1_000;
const newsLimit = 400;

/** The whole comment. Rows that do not fit are left out, and counted. */
export function planMarkdown(
  plan: Plan,
  { limit = 60_000, comparedWith = 'applied' }: PlanMarkdownOptions = {},
): string {
  const digest = digestText(plan, comparedWith);
  const of = plan.seed === null ? '' : ` for seed ${escapeMarkdown(plan.seed)}`;
  let text = [
    `**${worstNews(plan)}**`,
    '',
    `Plan${of}: ${escapeMarkdown(summaryText(plan))}. At ${commitText(plan.commit)}, compared with ${commitText(plan.base)}.`,
    ...(digest === null ? [] : ['', `${escapeMarkdown(digest)}.`]),
    '',
    '',
  ].join('\n');
  const sections = [changes(plan), guards(plan), warnings(plan), actions(plan), forecast(plan)].filter(
    ({ rows }) => rows.length > 0,
  );
  for (const [index, section] of sections.entries()) {
    // Each section that follows gets at least a line that says that it was left out.
    text += fold(section, limit - text.length - (sections.length - index - 1) * leftOutLine);
  }
  return text;
}

/** Several plans in one comment: those with a refusal first, then those with more that is held back or removed. */
export function plansMarkdown(
  plans: readonly Plan[],
  { limit = 60_000, comparedWith }: PlanMarkdownOptions = {},
): string {
  const sorted = plans.toSorted((a, b) => badness(b) - badness(a));
  const shown = sorted.slice(0, Math.max(1, Math.floor((limit - closing) / leastRoom)));
  const room = Math.floor((limit - closing) / shown.length) - 1;
  const left = sorted.length - shown.length;
  const note =
    left === 0 ? '' : `\n${counted(left, 'more plan')} left out; \`granary plan --seed NAME\` shows one\n`;
  return `${shown.map((plan) => planMarkdown(plan, { limit: room, comparedWith })).join('\n')}${note}`;
}

function badness({ guards: held, changes: changed, summary }: Plan): number {
  if (held.some(isRefusal)) return 1_000_000;
  const consequences = changed.reduce((sum, one) => sum + one.consequences.length, 0);
  return Math.min(999_999, held.length * 1_000 + consequences * 100 + summary.remove * 10 + summary.delete);
}

interface Section {
  readonly title: string;
  readonly open: boolean;
  /** Lines before the first row: a table's head. */
  readonly head: readonly string[];
  readonly rows: readonly string[];
}

/** Room for what closes a section and says what was left out. */
const closing = 160;
/** Room for a section that is left out wholly. */
const leftOutLine = 80;

function fold({ title, open, head, rows }: Section, room: number): string {
  const start = [`<details${open ? ' open' : ''}><summary>${title}</summary>`, '', ...head, ''].join('\n');
  let used = start.length + closing;
  let body = '';
  let shown = 0;
  for (const row of rows) {
    if (used + row.length + 1 > room) break;
    body += `${row}\n`;
    used += row.length + 1;
    shown += 1;
  }
  const left = rows.length - shown;
  if (shown === 0) return `\n${title}: left out, there is no room here\n`;
  const note =
    left > 0 ? `\n${counted(left, 'more line')} left out; \`granary plan -o json\` has them all\n` : '';
  return `${start}${body}${note}\n</details>\n\n`;
}

/** The one line that somebody reads who reads no more. */
function worstNews(plan: Plan): string {
  const { text, others } = newsOf(plan);
  return `${escapeMarkdown(shorten(printable(text), newsLimit))}${andMore(others)}`;
}

interface News {
  readonly text: string;
  /** How many more there are of its kind. */
  readonly others: number;
}

function newsOf(plan: Plan): News {
  const [refused, ...othersRefused] = plan.guards.filter(isRefusal);
  if (refused !== undefined) return { text: `Refused: ${refused.message}`, others: othersRefused.length };
  const [loss, ...otherLosses] = plan.changes.flatMap(({ kind, name, consequences }) =>
    consequences
      .filter((text) => /^(strands|backups stop)| orphans?\b/.test(text))
      .map((text) => `${kind} ${name}: ${text}`),
  );
  if (loss !== undefined) return { text: loss, others: otherLosses.length };
  const [first, ...otherGuards] = plan.guards.filter(({ blocks }) => blocks.length > 0);
  if (first !== undefined) {
    const count = counted(plan.summary.blocked, 'action');
    return { text: `${count} blocked: ${first.message}`, others: otherGuards.length };
  }
  const [held, ...othersHeld] = plan.guards;
  if (held !== undefined) return { text: held.message, others: othersHeld.length };
  const [late, ...othersLate] = plan.forecast.filter((one) => one.late);
  if (late !== undefined) return { text: `Late: ${late.seed}/${late.cluster}`, others: othersLate.length };
  const [consequence, ...otherConsequences] = plan.changes.flatMap(({ kind, name, consequences }) =>
    consequences.map((text) => `${kind} ${name}: ${text}`),
  );
  if (consequence !== undefined) return { text: consequence, others: otherConsequences.length };
  const [warning, ...otherWarnings] = plan.warnings;
  if (warning !== undefined) return { text: warning.message, others: otherWarnings.length };
  const { changes: changed, summary } = plan;
  if (changed.length === 0 && summary.delete === 0)
    return { text: 'No bad news: nothing is removed, and nothing changes', others: 0 };
  const objects = `${counted(changed.length, 'object')} differ${changed.length === 1 ? 's' : ''}`;
  const copies = counted(summary.delete, 'copy', 'copies');
  return { text: `No bad news: ${objects}, ${copies} to remove by the rules`, others: 0 };
}

function andMore(count: number): string {
  return count === 0 ? '' : `, and ${count} more`;
}

function changes({ changes: all }: Plan): Section {
  return { title: `Changes (${all.length})`, open: true, head: [], rows: all.map(changeRow) };
}

const changeWords = { add: 'new', change: 'changed', remove: 'removed' } as const;

/** What is the matter, and what to do about it in italics. */
function withHint({ message, hint }: { readonly message: string; readonly hint: string | null }): string {
  return hint === null ? escapeMarkdown(message) : `${escapeMarkdown(message)}: *${escapeMarkdown(hint)}*`;
}

function changeRow({ kind, name, change, fields, consequences }: Change): string {
  return [
    `- ${kind} **${escapeMarkdown(name)}**: ${changeWords[change]}`,
    ...fields.map((field) => `  - ${escapeMarkdown(field.path)}: ${escapeMarkdown(changeText(field, '→'))}`),
    ...consequences.map((text) => `  - **${escapeMarkdown(text)}**`),
  ].join('\n');
}

function guards(plan: Plan): Section {
  const groups = blockedGroups(plan).map(
    ({ guard, seed, cluster, what }) =>
      `- ${escapeMarkdown(`${seed}/${cluster}`)}, ${escapeMarkdown(what)}: ${withHint(guard)}`,
  );
  const others = plan.guards
    .filter(({ blocks }) => blocks.length === 0)
    .map((guard) => `- ${withHint(guard)}`);
  const rows = [...groups, ...others];
  return { title: `Held back (${rows.length})`, open: true, head: [], rows };
}

function warnings({ warnings: all }: Plan): Section {
  const rows = all.map((warning) => `- ${withHint(warning)}`);
  return { title: `Warnings (${all.length})`, open: false, head: [], rows };
}

function actions({ actions: all, guards: held }: Plan): Section {
  const blocked = new Set(held.flatMap((guard) => guard.blocks));
  const rows = all.map((action) =>
    row([
      blocked.has(action.id) ? `${action.type} (blocked)` : action.type,
      `${action.seed}/${action.cluster}`,
      `${action.policy} ${slotText(action.slot)}`,
      placeText(action),
      reasonText(action),
    ]),
  );
  const head = [row(['action', 'cluster', 'backup', 'where', 'why']), '|---|---|---|---|---|'];
  return { title: `Actions (${all.length})`, open: false, head, rows };
}

function forecast({ forecast: all, generatedAt }: Plan): Section {
  const now = new Date(generatedAt);
  const rows = outlooks(all).map((one) =>
    row([one.name, lossText(one), provenText(one, now), holdingsText(one)]),
  );
  const head = [row(['cluster', 'worst loss', 'last proof', 'there is']), '|---|---|---|---|'];
  return { title: `Outlook (${counted(rows.length, 'cluster')})`, open: false, head, rows };
}

function row(cells: readonly string[]): string {
  return `| ${cells.map(escapeMarkdown).join(' | ')} |`;
}

/**
 * Text from outside inside markdown: nothing in it is markup, a link, HTML, or a mention of somebody. Backticks go too,
 * so that hints show their commands as plain text. References (`@team`, `#12`, `!3`) are found after markdown is read,
 * so that an escape does not hide them: a space of no width does.
 */
export function escapeMarkdown(text: string): string {
  return printable(text).replaceAll(special, (found, offset: number, whole: string) => {
    if (markup.has(found)) return `\\${found}`;
    const entity = `&#${found.charCodeAt(found.length - 1)};`;
    if (found.length > 1 || !references.has(found)) return `${found.slice(0, -1)}${entity}`;
    return /^[\p{L}\p{N}"\\]/u.test(whole.slice(offset + 1)) ? `${entity}&#8203;` : entity;
  });
}

const markup: ReadonlySet<string> = new Set('\\`*_{}[]|');
const references: ReadonlySet<string> = new Set('@#~!$%&');
/** Also the colon and the dot by which addresses are found, and what begins a list at the beginning of the text. */
const special = /^\s*(?:[-+=]|\d+[.)])|[\\`*_{}[\]|&<>@#~!$%]|:(?=\/\/)|(?<=www)\./gi;
