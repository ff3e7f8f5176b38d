/** A plan for a pull request: the worst news in one line, then the rest folded. All text is escaped. */
import type { Change, Plan } from '../model/generated/plan.ts';
import { isRefusal } from '../plan/lifecycle.ts';
import {
  blockedGroups,
  commitText,
  counted,
  holdingsText,
  lossText,
  outlooks,
  placeText,
  provenText,
  reasonText,
  slotText,
  summaryText,
  valueText,
} from './plan-words.ts';
import { printable } from './text.ts';

export interface PlanMarkdownOptions {
  /** Characters at most. GitHub refuses comments above 65,536. */
  readonly limit?: number;
}

/** The whole comment. Rows that do not fit are left out, and counted. */
export function planMarkdown(plan: Plan, { limit = 60_000 }: PlanMarkdownOptions = {}): string {
  const head = [
    `**${worstNews(plan)}**`,
    '',
    `Plan: ${escapeMarkdown(summaryText(plan))}. At ${commitText(plan.commit)}, compared with ${commitText(plan.base)}.`,
    '',
  ].join('\n');
  let text = head;
  for (const section of [changes(plan), guards(plan), warnings(plan), actions(plan), forecast(plan)]) {
    if (section.rows.length > 0) text += fold(section, limit - text.length);
  }
  return text;
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
  const [refused, ...othersRefused] = plan.guards.filter(isRefusal);
  if (refused !== undefined) {
    return `Refused: ${escapeMarkdown(refused.message)}${andMore(othersRefused.length)}`;
  }
  const losses = plan.changes.flatMap(({ kind, name, consequences }) =>
    consequences.filter((text) => /strand|orphan/.test(text)).map((text) => `${kind} ${name}: ${text}`),
  );
  const [loss, ...otherLosses] = losses;
  if (loss !== undefined) return `${escapeMarkdown(loss)}${andMore(otherLosses.length)}`;
  const blocking = plan.guards.filter(({ blocks }) => blocks.length > 0);
  const [first, ...otherGuards] = blocking;
  if (first !== undefined) {
    const count = counted(plan.summary.blocked, 'action');
    return `${count} blocked: ${escapeMarkdown(first.message)}${andMore(otherGuards.length)}`;
  }
  const [held, ...othersHeld] = plan.guards;
  if (held !== undefined) return `${escapeMarkdown(held.message)}${andMore(othersHeld.length)}`;
  const late = plan.forecast.filter((one) => one.late);
  if (late.length > 0)
    return `${counted(late.length, 'cluster')} late, such as ${late[0]?.seed}/${late[0]?.cluster}`;
  const [warning, ...otherWarnings] = plan.warnings;
  if (warning !== undefined) return `${escapeMarkdown(warning.message)}${andMore(otherWarnings.length)}`;
  const { changes: changed, summary } = plan;
  if (changed.length === 0 && summary.delete === 0)
    return 'No bad news: nothing is removed, and nothing changes';
  return `No bad news: ${counted(changed.length, 'object')} differ, ${counted(summary.delete, 'copy', 'copies')} to remove by the rules`;
}

function andMore(count: number): string {
  return count === 0 ? '' : `, and ${count} more`;
}

function changes({ changes: all }: Plan): Section {
  return { title: `Changes (${all.length})`, open: true, head: [], rows: all.map(changeRow) };
}

const changeWords = { add: 'new', change: 'changed', remove: 'removed' } as const;

function changeRow({ kind, name, change, fields, consequences }: Change): string {
  return [
    `- ${kind} **${escapeMarkdown(name)}**: ${changeWords[change]}`,
    ...fields.map(
      ({ path, before, after }) =>
        `  - ${escapeMarkdown(path)}: ${escapeMarkdown(valueText(before))} → ${escapeMarkdown(valueText(after))}`,
    ),
    ...consequences.map((text) => `  - **${escapeMarkdown(text)}**`),
  ].join('\n');
}

function guards(plan: Plan): Section {
  const groups = blockedGroups(plan).map(
    ({ guard, seed, cluster, what }) =>
      `- ${escapeMarkdown(`${seed}/${cluster}`)}, ${escapeMarkdown(what)}: ${escapeMarkdown(guard.message)}. ${escapeMarkdown(guard.hint)}`,
  );
  const others = plan.guards
    .filter(({ blocks }) => blocks.length === 0)
    .map(({ message, hint }) => `- ${escapeMarkdown(message)}. ${escapeMarkdown(hint)}`);
  const rows = [...groups, ...others];
  return { title: `Held back (${rows.length})`, open: true, head: [], rows };
}

function warnings({ warnings: all }: Plan): Section {
  const rows = all.map(
    ({ message, hint }) => `- ${escapeMarkdown(message)}${hint === null ? '' : `. ${escapeMarkdown(hint)}`}`,
  );
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
 * so that hints show their commands as plain text.
 */
export function escapeMarkdown(text: string): string {
  return printable(text)
    .replaceAll(/[\\`*_{}[\]#|~!$]/g, '\\$&')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('@', '&#64;')
    .replaceAll('://', '&#58;//');
}
