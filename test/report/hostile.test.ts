/** Whatever stands in a configuration or a bucket: no comment, annotation or log says anything that we did not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatFailure } from '../../src/cli/failure.ts';
import { GranaryError } from '../../src/model/errors.ts';
import type { Plan } from '../../src/model/generated/plan.ts';
import { makePlan } from '../../src/plan/plan.ts';
import { planGithub } from '../../src/report/plan-github.ts';
import { escapeMarkdown, plansMarkdown } from '../../src/report/plan-markdown.ts';
import { planText } from '../../src/report/plan-text.ts';
import { actualOf, desiredOf, hourly, now, options, read } from '../plan/fixtures.ts';

const plan = makePlan(
  desiredOf(),
  actualOf(null, read('one', hourly('a', '2026-11-21T14:00:00Z', 9)), read('two', [])),
  now,
  options,
);

/** Pieces that mean something to somebody, and anything else. */
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '::error::',
        '##[error]',
        '\n',
        '\r',
        ' ',
        '</details>',
        '<!--',
        '@acme/owners',
        '#12',
        '!3',
        '|',
      ),
      fc.constantFrom(
        '`',
        '**',
        '](http://x)',
        'www.x.org',
        '\u2028',
        '\u202e',
        '%0A',
        '- ',
        '1. ',
        '&lt;',
        '\\',
        '$HOME',
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    ),
    { maxLength: 8 },
  )
  .map((pieces) => pieces.join(''));

function poisoned(text: string): Plan {
  return {
    ...plan,
    seed: text,
    changes: [
      {
        kind: 'Policy',
        name: text,
        change: 'change',
        fields: [{ path: text, before: text, after: [text] }],
        consequences: [text],
      },
    ],
    guards: plan.guards.map((guard) => ({ ...guard, message: text, hint: text })),
    warnings: [{ code: 'orphans', message: text, hint: text }],
    actions: plan.actions.map((action) => ({
      ...action,
      seed: text,
      cluster: text,
      policy: text,
      reason: text,
    })),
  };
}

/** What the runner of GitHub takes for a command: after blanks, or in the old form anywhere. */
const command = /^\s*::|##\[/;

describe('anything in a plan', () => {
  it('begins no command in the log of a workflow', () => {
    fc.assert(
      fc.property(hostile, fc.integer({ min: 40, max: 120 }), (text, width) => {
        const lines = planText(poisoned(text), { width }).split(/[\n\r\u2028]/);
        expect(lines.filter((line) => command.test(line))).toEqual([]);
      }),
    );
  });
  it('begins no command of its own among the annotations', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const at = () => ({ file: text, line: 1, column: 1 });
        const made = planGithub([poisoned(text)], at);
        const own = plan.guards.length + 2;
        const lines = made.trimEnd().split(/[\n\r]/);
        expect(lines).toHaveLength(own + 1);
        for (const line of lines.slice(0, own)) {
          // One level, properties in which nothing ends them, and the text.
          expect(line).toMatch(/^::(error|warning|notice) (file=[^:,]*,line=1,col=1,)?title=[^:,]*::/);
        }
        expect(command.test(lines.at(-1) ?? '')).toBe(false);
      }),
    );
  });
  it('is no markup, mention, reference or link in a comment, and the comment keeps its size', () => {
    fc.assert(
      fc.property(hostile, fc.integer({ min: 1_000, max: 5_000 }), (text, limit) => {
        const escaped = escapeMarkdown(text);
        expect(escaped).not.toMatch(/[<>@\n\r\u2028\u202e]|:\/\/|www\./i);
        // Every character that means something stands behind a backslash, or within an entity.
        expect(escaped.replaceAll(/\\./gs, '').replaceAll(/&#\d+;/g, '')).not.toMatch(/[`*_{}[\]|~!$#&\\]/);
        for (const [sign] of escaped.matchAll(/&#(64|35|33|126|36);[\p{L}\p{N}]/gu)) expect(sign).toBe('');
        const comment = plansMarkdown([poisoned(text), plan, poisoned(text)], { limit });
        expect(comment.length).toBeLessThanOrEqual(limit);
        expect(comment.match(/<details/g)?.length ?? 0).toBe(comment.match(/<\/details>/g)?.length ?? 0);
        expect(comment).not.toContain('<!--');
      }),
    );
  });
});

describe('anything in the words of a server', () => {
  it('stays one line of an error and one of its hint, and begins no command', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const error = new GranaryError('store-failed', text, { hint: text }).within('destination x');
        const lines = formatFailure(error, false).split(/[\n\r\u2028]/);
        expect(lines.map((line) => line.slice(0, 6))).toEqual(['error:', 'hint: ']);
        expect(lines.filter((line) => command.test(line))).toEqual([]);
        expect(lines.join('')).not.toMatch(/[\p{Cc}\u202e]/u);
      }),
    );
  });
});
