/** A plan as annotations on the lines that changed, worst first: GitHub shows the first ten of each level. */
import type { Position } from '../model/config.ts';
import type { Change, FieldChange, Plan } from '../model/generated/plan.ts';
import { printable, withoutCommands } from '../model/printable.ts';
import { isRefusal } from '../plan/lifecycle.ts';
import { type Annotation, annotationLine } from './github.ts';
import { changeText, summaryText } from './plan-words.ts';

/** Where a changed field stands now, or the object where `path` is null; null where there is no such line. */
export type Locate = (change: Change, path: string | null) => Position | null;

const levels: readonly Annotation['level'][] = ['error', 'warning', 'notice'];

/** One command a line, and the summary. */
export function planGithub(plans: readonly Plan[], locate: Locate): string {
  const all = plans.flatMap((plan) => [
    ...plan.guards.map((guard): Annotation => {
      const level = isRefusal(guard) ? 'error' : 'warning';
      const change = plan.changes.find(
        ({ kind, name }) => kind === guard.object?.kind && name === guard.object.name,
      );
      const at = change === undefined ? null : locate(change, null);
      return { level, title: guard.code, text: `${guard.message}\nhint: ${guard.hint}`, at };
    }),
    ...plan.changes.flatMap((change) => changeAnnotations(change, locate)),
    ...plan.warnings.map(
      ({ code, message, hint }): Annotation => ({
        level: 'warning',
        title: code,
        text: hint === null ? message : `${message}\nhint: ${hint}`,
        at: null,
      }),
    ),
  ]);
  const sorted = all.toSorted((a, b) => levels.indexOf(a.level) - levels.indexOf(b.level));
  const lines = sorted.map((one) => annotationLine({ ...one, text: printableLines(one.text) }));
  const summaries = plans.map((plan) => {
    const seed = plan.seed === null ? '' : ` for seed ${printable(plan.seed)}`;
    return withoutCommands(`Plan${seed}: ${summaryText(plan)}.`);
  });
  return `${[...lines, ...summaries].join('\n')}\n`;
}

const words = { add: 'is new', change: 'changes', remove: 'goes' } as const;

/** What a change does stands on its first line; each other changed line says what it was. */
function changeAnnotations(change: Change, locate: Locate): Annotation[] {
  const { kind, name, fields, consequences } = change;
  const title = `${kind} ${name} ${words[change.change]}`;
  const [first, ...others] = fields;
  const head: Annotation = {
    level: consequences.length > 0 ? 'warning' : 'notice',
    title,
    text: [...(first === undefined ? [] : [fieldText(first)]), ...consequences].join('\n') || title,
    at: locate(change, first?.path ?? null),
  };
  return [
    head,
    ...others.map(
      (field): Annotation => ({
        level: 'notice',
        title,
        text: fieldText(field),
        at: locate(change, field.path),
      }),
    ),
  ];
}

function fieldText(field: FieldChange): string {
  return `${field.path}: ${changeText(field)}`;
}

function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
