import { describe, expect, it } from 'vitest';
import type { Plan } from '../../src/model/generated/plan.ts';
import { asApplied } from '../../src/plan/applied.ts';
import { makePlan } from '../../src/plan/plan.ts';
import { escapeMarkdown, planMarkdown } from '../../src/report/plan-markdown.ts';
import { planText } from '../../src/report/plan-text.ts';
import { changeText } from '../../src/report/plan-words.ts';
import {
  actualOf,
  clusterOf,
  desiredOf,
  destinationOf,
  hourly,
  keepOf,
  now,
  options,
  policyOf,
  read,
  seedOf,
} from './fixtures.ts';

const before = desiredOf({
  destinations: [destinationOf('one'), destinationOf('old', { path: '/old' })],
  policies: [policyOf('hourly', { keep: keepOf({ last: 5 }) }), policyOf('nightly')],
});
const after = desiredOf({
  destinations: [destinationOf('one'), destinationOf('old', { path: '/new' })],
  policies: [policyOf('hourly', { keep: keepOf({ last: 6 }) })],
});
const proof = { proofs: [{ kind: 'drill' as const, ok: true, time: '2026-11-21T08:03:00Z' }] };
const copies = [...hourly('a', '2026-11-21T13:00:00Z', 8, proof), ...hourly('b', '2026-11-21T06:00:00Z', 8)];
const applied = { ...asApplied(before, now), commit: 'b'.repeat(40) };
const troubled = makePlan(
  after,
  actualOf(applied, read('one', copies), read('old', copies, { url: 'file:///old' })),
  now,
  options,
);
const calm = makePlan(
  before,
  actualOf(asApplied(before, now), read('one', []), read('old', [])),
  new Date('2026-11-21T14:00:00Z'),
  options,
);

function large(): Plan {
  const many = Array.from({ length: 60 }, (_, index) => clusterOf(`cluster-${index}`));
  const world = desiredOf({
    seeds: [seedOf('eu', many), seedOf('us', many)],
    destinations: [destinationOf('one')],
  });
  return makePlan(world, actualOf(null, read('one', [])), now, options);
}

describe('text', () => {
  it('says what changes, what is done, what is held back, and how safe the data are', () => {
    expect(planText(troubled, { width: 100 })).toMatchInlineSnapshot(`
      "Seed eu at ccccccc, last applied bbbbbbb

        ~ Destination old
            path               /old -> /new
            ! strands 16 backups (15 MiB) in file:///old; they are kept and no longer shown; a second
              Destination for the old place shows them again
        ~ Policy hourly
            keep.last          5 -> 6
            ! 2 copies (1.9 MiB) that would have gone stay
        - Policy nightly
            ! no more backups under it: eu/a, eu/b; other policies go on
            ! it has no backups

        + backup      a   hourly 2026-11-21 14:00 UTC   to one, old   due 3 minutes ago
        + backup      b   hourly 2026-11-21 14:00 UTC   to one, old   due 3 minutes ago
        - tombstone   a   hourly 2026-11-21 06:00 UTC   on one
            no rule keeps it; goes after 2026-11-24 14:03 UTC
        - tombstone   a   hourly 2026-11-21 07:00 UTC   on one
            no rule keeps it; goes after 2026-11-24 14:03 UTC
        x blocked     b   2 removals on one
            late: its last two slots are unfulfilled; removals freeze until one succeeds
            hint: \`granary check eu/b\` says what is wrong
        x destination old could not be read: the inventory was read from file:///old, before it moved;
          nothing is removed or copied there
            hint: take the inventory anew, once the destination can be read where it is now

      Plan: 2 to back up, 2 to tombstone, 2 blocked; 2 objects change, 1 object goes.
      Worst loss today: b 9 hours at most (late), a 2 hours at most. Last proof: b not known, a 6 hours
      ago.
      "
    `);
  });
  it('says what to put for DIGEST where a hint asks for it, and where the digest comes from otherwise', () => {
    const many = hourly('a', '2026-11-21T14:00:00Z', 40);
    const less = desiredOf({ policies: [policyOf('hourly', { keep: keepOf({ last: 3 }) })] });
    const held = makePlan(
      less,
      actualOf(
        asApplied(desiredOf({ policies: [policyOf('hourly', { keep: keepOf({ last: 40 }) })] }), now),
        read('one', many),
        read('two', many),
      ),
      now,
      options,
    );
    expect(held.guards.map(({ code }) => code)).toContain('blast-cap');
    for (const text of [planText(held, { width: 100 }), planMarkdown(held)]) {
      expect(text).toContain(`DIGEST is ${held.digest}.`);
      expect(text).toMatch(/approve this plan/);
    }
    for (const text of [
      planText(held, { comparedWith: 'commit' }),
      planMarkdown(held, { comparedWith: 'commit' }),
    ]) {
      expect(text).not.toContain(held.digest);
      expect(text).toMatch(/DIGEST is what .*granary plan.* shows once this is merged/);
    }
    for (const text of [planText(troubled), planMarkdown(troubled)]) expect(text).not.toContain('DIGEST');
  });
  it('never cuts a line, and keeps cells within the width where reasons are long', () => {
    const text = planText(troubled, { width: 80 });
    expect(text.replaceAll(/\n +/g, ' ')).toContain('removals freeze until one succeeds');
    for (const line of text.split('\n')) {
      expect(line.length).toBeLessThanOrEqual(80);
    }
  });
  it('counts what it leaves out', () => {
    const text = planText(large());
    expect(text).toContain('100 more to back up; -o json has them all');
    expect(text.split('\n').filter((line) => line.includes('backup   ')).length).toBe(20);
    expect(text).toContain('2 seeds at ccccccc');
    expect(text).toContain('eu/cluster-0');
    expect(text).toContain('115 clusters less');
  });
  it('says so where there is nothing to do', () => {
    const nothing: Plan = { ...calm, seed: null, changes: [], actions: [], forecast: [], warnings: [] };
    expect(planText(nothing)).toBe(
      'Configuration at ccccccc, last applied ccccccc\n\nPlan: nothing to do.\n',
    );
  });
  it('colours the marks alone, and lets no control character through', () => {
    const nasty: Plan = {
      ...troubled,
      warnings: [{ code: 'orphans', message: 'one\u001b[2Jtwo\r\n\u202ethree', hint: null }],
    };
    expect(planText(nasty)).toContain('one\\x1b[2Jtwo\\x0d\\n\\u202ethree');
    const coloured = planText(nasty, { colour: true });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences are what is tested
    expect(coloured.replaceAll(/\u001b\[\d+m/g, '')).toBe(planText(nasty));
  });
});

describe('markdown', () => {
  it('begins with the worst news', () => {
    expect(planMarkdown(troubled).split('\n')[0]).toBe(
      '**Destination old: strands 16 backups (15 MiB) in file&#58;///old; they are kept and no longer shown; a second Destination for the old place shows them again**',
    );
    expect(planMarkdown({ ...troubled, changes: [] }).split('\n')[0]).toMatch(
      /^\*\*\d+ actions blocked: eu\/b is late/,
    );
    expect(planMarkdown({ ...calm, warnings: [] }).split('\n')[0]).toMatch(/^\*\*No bad news/);
  });
  it('folds the rest, each fold closed', () => {
    const text = planMarkdown(troubled);
    expect(text.match(/<details/g)?.length).toBe(text.match(/<\/details>/g)?.length);
    expect(text).toContain(
      '| backup | eu/a | hourly 2026-11-21 14:00 UTC | to one, old | due 3 minutes ago |',
    );
    expect(text).toContain(
      '| eu/b | 9 hours at most (late) | not known | 8 backups, 7.6 MiB, and what could not be read |',
    );
  });
  it('stays below its limit and says what it cut', () => {
    for (const limit of [1_500, 3_000, 10_000]) {
      const text = planMarkdown(large(), { limit });
      expect(text.length).toBeLessThanOrEqual(limit);
      expect(text).toMatch(/left out/);
      expect(text.match(/<details/g)?.length ?? 0).toBe(text.match(/<\/details>/g)?.length ?? 0);
    }
  });
  it('lets nothing from outside become markup, a link or a mention', () => {
    expect(escapeMarkdown('<b>@all</b> [x](https://evil) | `code`\n# title **bold** ~~gone~~ &amp;')).toBe(
      '&#60;b&#62;&#64;&#8203;all&#60;/b&#62; \\[x\\](https&#58;//evil) \\| \\`code\\`\\\\n&#35; title \\*\\*bold\\*\\* &#126;&#126;&#8203;gone&#126;&#126; &#38;&#8203;amp;',
    );
  });
});

describe('what a field was and is to be', () => {
  const key = (end: string) => `age1${'q'.repeat(54)}${end}`;

  it('short values stand in full, long ones are cut', () => {
    expect(changeText({ before: ['a', 'b'], after: ['a'] })).toBe('a, b -> a');
    expect(changeText({ before: null, after: 'x'.repeat(80) }, '→')).toBe(`none → ${'x'.repeat(59)}…`);
  });

  it('of long lists what goes and what comes is told, by which it can be known', () => {
    const before = [key('aaaa'), key('bbbb')];
    expect(changeText({ before, after: [key('aaaa'), key('cccc')] })).toBe(
      `- ${key('bbbb').slice(0, 24)}…qqqqqqqqbbbb, + ${key('cccc').slice(0, 24)}…qqqqqqqqcccc`,
    );
    expect(changeText({ before, after: before.toReversed() })).toBe('another order');
  });
});
