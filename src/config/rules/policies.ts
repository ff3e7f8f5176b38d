/** What a policy asks for must be possible. */
import type { Keep } from '../../model/config.ts';
import { formatDuration } from '../../model/units.ts';
import { parseCron } from '../../plan/schedule.ts';
import { childPointer } from '../pointer.ts';
import { recipientProblem } from '../recipients.ts';
import { quoted } from '../words.ts';
import type { Rule, RuleContext, SourcedPolicy } from './context.ts';

export const schedulesAreValid: Rule = ({ policies, report }) => {
  const isKnown = remembered(isTimeZone);
  const problemOf = remembered(parseCron);
  for (const { object, source } of policies) {
    const { schedule, verify } = object;
    const all = [{ ...schedule, pointer: '/spec/schedule' }];
    if (verify.drill !== null) all.push({ ...schedule, ...verify.drill, pointer: '/spec/verify/drill' });
    all.push({ ...schedule, ...verify.scrub, pointer: '/spec/verify/scrub' });
    for (const { cron, timeZone, pointer } of all) {
      if (isKnown(timeZone)) {
        const problem = problemOf(cron, timeZone);
        if (problem !== null) report(source, `${pointer}/cron`, { code: 'bad-schedule', message: problem });
      } else reportTimeZone(report, source, `${pointer}/timeZone`, timeZone);
    }
  }
};

/** Every `keep` keeps something, and counts in a zone that is there. */
export const keepsSomething: Rule = ({ policies, report }) => {
  const isKnown = remembered(isTimeZone);
  for (const policy of policies) {
    for (const { pointer, keep } of keepsOf(policy)) {
      if (!isKnown(keep.timeZone)) {
        reportTimeZone(report, policy.source, `${pointer}/timeZone`, keep.timeZone);
      }
      if (!isEmpty(keep)) continue;
      report(policy.source, pointer, {
        code: 'empty-keep',
        message: '`keep` keeps nothing',
        hint: 'set at least one of last, hourly, daily, weekly, monthly, yearly and within',
        place: 'key',
      });
    }
  }
};

function keepsOf({ object }: SourcedPolicy): { pointer: string; keep: Keep }[] {
  const own = (object.destinations ?? []).flatMap(({ keep }, index) =>
    keep === null ? [] : [{ pointer: childPointer('/spec/destinations', index, 'keep'), keep }],
  );
  return [{ pointer: '/spec/keep', keep: object.keep }, ...own];
}

function isEmpty({ last, hourly, daily, weekly, monthly, yearly, withinMs }: Keep): boolean {
  return [last, hourly, daily, weekly, monthly, yearly, withinMs].every((count) => count === 0);
}

/** IANA names only: an offset knows nothing of daylight saving. */
function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Asks once for each question: calendars are slow to ask, and a repository has few schedules and zones. */
function remembered<Words extends readonly string[], Answer>(
  ask: (...words: Words) => Answer,
): (...words: Words) => Answer {
  const answers = new Map<string, { readonly answer: Answer }>();
  return (...words) => {
    const question = JSON.stringify(words);
    const known = answers.get(question) ?? { answer: ask(...words) };
    answers.set(question, known);
    return known.answer;
  };
}

function reportTimeZone(
  report: RuleContext['report'],
  source: SourcedPolicy['source'],
  pointer: string,
  name: string,
): void {
  report(source, pointer, {
    code: 'bad-time-zone',
    message: `${quoted(name)} is no time zone`,
    hint: 'write an IANA name such as `UTC` or `Europe/Prague`',
  });
}

export const policyDestinationsAreDistinct: Rule = ({ policies, report }) => {
  for (const { object, source } of policies) {
    const seen = new Set<string>();
    object.destinations?.forEach(({ name }, index) => {
      if (seen.has(name)) {
        report(source, childPointer('/spec/destinations', index), {
          code: 'duplicate-item',
          message: `destination ${quoted(name)} stands twice in \`destinations\``,
          hint: 'remove one of both',
        });
      }
      seen.add(name);
    });
  }
};

export const minimumCopiesCanBeReached: Rule = ({ policies, report }) => {
  for (const { object, source } of policies) {
    const possible = object.destinations?.length ?? 1;
    if (object.minimumCopies <= possible) continue;
    report(source, '/spec/minimumCopies', {
      code: 'too-many-copies',
      message: `\`minimumCopies\` is ${object.minimumCopies}, and a backup has ${possible} ${possible === 1 ? 'destination' : 'destinations'}: every run would be incomplete`,
      hint: 'name more destinations, or ask for fewer copies',
    });
  }
};

export const recipientsAreValid: Rule = ({ policies, report }) => {
  for (const { object, source } of policies) {
    const pointer = '/spec/encryption/recipients';
    object.recipients.forEach((recipient, index) => {
      const problem = recipientProblem(recipient);
      if (problem !== null) {
        report(source, childPointer(pointer, index), { code: 'bad-recipient', ...problem });
      } else if (object.recipients.indexOf(recipient) < index) {
        // The schema tells equal texts; SSH keys are equal whatever their comments are.
        report(source, childPointer(pointer, index), {
          code: 'duplicate-item',
          message: 'this recipient is listed above already, with another comment',
          hint: 'remove one of the two',
        });
      }
    });
    if (new Set(object.recipients).size !== 1) continue;
    report(source, pointer, {
      code: 'lone-recipient',
      severity: 'warning',
      message: 'there is one recipient alone: if its key is lost, every backup of this policy is lost',
      hint: 'add a second recipient whose key is kept elsewhere',
    });
  }
};

interface Range {
  readonly pointer: string;
  readonly value: (policy: SourcedPolicy['object']) => number | null;
  readonly least: number;
  readonly most: number;
  readonly show: (value: number) => string;
}

// A timer of Node holds 24 days at most and fires at once above that; none of these needs a longer one.
const ranges: readonly Range[] = [
  {
    pointer: '/spec/stallTimeout',
    value: (policy) => policy.stallTimeoutMs,
    least: 1_000,
    most: 86_400_000,
    show: formatDuration,
  },
  {
    pointer: '/spec/schedule/jitter',
    value: (policy) => policy.schedule.jitterMs,
    least: 0,
    most: 86_400_000,
    show: formatDuration,
  },
  {
    pointer: '/spec/schedule/startingDeadline',
    value: (policy) => policy.schedule.startingDeadlineMs,
    least: 60_000,
    most: 366 * 86_400_000,
    show: formatDuration,
  },
];

export const durationsAreInRange: Rule = ({ policies, report }) => {
  for (const { object, source } of policies) {
    for (const { pointer, value, least, most, show } of ranges) {
      const actual = value(object);
      if (actual === null || (actual >= least && actual <= most)) continue;
      const name = pointer.split('/').slice(2).join('.');
      report(source, pointer, {
        code: 'out-of-range',
        message: `\`${name}\` is ${show(actual)}; it can be ${show(least)} to ${show(most)}`,
      });
    }
    if (object.maxDatabaseSize === 0) {
      report(source, '/spec/maxDatabaseSize', {
        code: 'out-of-range',
        message: '`maxDatabaseSize` is 0: no database would be backed up',
      });
    }
  }
};
