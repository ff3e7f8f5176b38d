/** What a check found, for people: what works in few lines, what does not with what to do about it. */
import { type CheckResult, type CheckStep, type CheckVerdict, failures } from '../model/check.ts';
import { counted, padEnd, paint, printable, type Style, type TextOptions, textWidth } from './text.ts';

const words: Readonly<Record<CheckVerdict, { readonly word: string; readonly style: Style }>> = {
  ok: { word: 'ok', style: 'green' },
  warn: { word: 'warn', style: 'yellow' },
  fail: { word: 'FAIL', style: 'red' },
};
const verdictWidth = 6;
/** Details of one place stand below one another, behind its longest name, within these. */
const leastNameWidth = 15;
const mostNameWidth = 40;

/** One place: its name, then a line a step. Steps that went well and have nothing to say share one. */
export function checkText({ name, what, steps }: CheckResult, { color }: TextOptions): string {
  const names = steps.filter(({ detail }) => detail !== null).map((step) => textWidth(step.name) + 2);
  const width = Math.min(mostNameWidth, Math.max(leastNameWidth, ...names));
  const lines = grouped(steps).map(({ verdict, name: step, detail, hint }) => {
    const { word, style } = words[verdict];
    const head = `  ${paint(style, padEnd(word, verdictWidth), color)}`;
    const said =
      detail === null ? printable(step) : `${padEnd(printable(step), width - 2)}  ${printable(detail)}`;
    const todo = hint === null ? '' : `\n  ${' '.repeat(verdictWidth)}hint: ${printable(hint)}`;
    return head + said + todo;
  });
  return [`${name} (${printable(what)})`, ...lines].join('\n');
}

/** `Ready.`, or how much failed and where. */
export function checkSummary(results: readonly CheckResult[]): string {
  if (results.length === 0) return 'There is nothing to check.';
  const failed = results.reduce((sum, result) => sum + failures(result), 0);
  if (failed === 0) return 'Ready.';
  const all = results.reduce((sum, { steps }) => sum + steps.length, 0);
  const names = results.filter((result) => failures(result) > 0).map(({ name }) => name);
  const where = results.length === 1 ? '' : `, at ${names.join(', ')}`;
  return `Not ready: ${failed} of ${all} failed${where}.`;
}

/** As `check -o json` gives it. */
export function checkJson(results: readonly CheckResult[]): string {
  return JSON.stringify({ items: checkItems(results) }, null, 2);
}

export function checkItems(results: readonly CheckResult[]) {
  return results.map((result) => ({ ...result, ready: failures(result) === 0 }));
}

/** What a check of everything did not look at. */
export function leftOutText(names: readonly string[]): string {
  return `${counted(names.length, 'cluster')} not checked, being switched off: ${names.join(', ')}`;
}

function grouped(steps: readonly CheckStep[]): CheckStep[] {
  const groups: CheckStep[] = [];
  for (const step of steps) {
    const last = groups.at(-1);
    const joins = isSilent(step) && last !== undefined && isSilent(last);
    if (joins) groups[groups.length - 1] = { ...last, name: `${last.name}, ${step.name}` };
    else groups.push(step);
  }
  return groups;
}

function isSilent({ verdict, detail }: CheckStep): boolean {
  return verdict === 'ok' && detail === null;
}
