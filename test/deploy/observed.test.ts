/** Alert rules and dashboard, on the metrics of a real agent: each alert comes when it should, and only then. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { root } from '../house/repository.ts';
import { describeWith } from '../servers/describe.ts';
import { declaredMetrics, minutes, parseMetrics, run, type Sample, seriesOf, testRules } from './promtool.ts';
import { recordMetrics } from './recorded-agent.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

const rulesFile = join(root, 'deploy/prometheus/granary.rules.yaml');
const { groups } = parse(readFileSync(rulesFile, 'utf8')) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const runbooks = readFileSync(join(root, 'docs/operations/alerts.md'), 'utf8');

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
  readonly panels?: readonly Panel[];
}
const dashboard = JSON.parse(readFileSync(join(root, 'deploy/grafana/granary.json'), 'utf8')) as {
  panels: Panel[];
  templating: { list: { name: string; query: unknown }[] };
};
const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
const expressions = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr] as const),
);

const day = 86_400;
const always = (value: number | string) => `${value}+0x${minutes}`;

/** What an alert is for: which recorded samples are then otherwise, and whom it names. */
interface Case {
  readonly alert: string;
  readonly change: readonly {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    /** null: the sample is gone from minute 30 on. */
    readonly value: string | null;
    /** Labels that no recorded sample has: words of ours for what did not happen. */
    readonly relabel?: Readonly<Record<string, string>>;
  }[];
  readonly labels: Readonly<Record<string, string>>;
  /** When it is looked at, in minutes; default: after three hours. */
  readonly after?: number;
}

const shop = { seed: 'eu', cluster: 'shop' };
const yearly = { ...shop, policy: 'yearly' };
const cases: Case[] = [
  {
    alert: 'GranaryBackupLate',
    change: [{ name: 'late', labels: yearly, value: always(1) }],
    labels: yearly,
  },
  {
    alert: 'GranaryBackupFailing',
    change: [{ name: 'runs_total', labels: { outcome: 'failed', policy: 'soon' }, value: `1+1x${minutes}` }],
    labels: { seed: 'eu', cluster: 'dead', policy: 'soon' },
  },
  {
    alert: 'GranaryBackupDamaged',
    change: [{ name: 'damaged_copies', labels: yearly, value: always(2) }],
    labels: yearly,
  },
  ...(['read', 'drill'] as const).map((kind) => ({
    alert: kind === 'read' ? 'GranaryProofTooOld' : 'GranaryDrillTooOld',
    change: [{ name: 'last_proof_timestamp_seconds', labels: { ...yearly, kind }, value: always(-36 * day) }],
    labels: yearly,
  })),
  {
    alert: 'GranaryDrillDue',
    change: [{ name: 'drill_due', labels: yearly, value: always(1) }],
    labels: yearly,
    after: minutes,
  },
  {
    alert: 'GranaryRemovalFrozen',
    change: [
      {
        name: 'guards',
        labels: { code: 'applied-uncertain' },
        relabel: { code: 'frozen-regression' },
        value: always(1),
      },
    ],
    labels: { seed: 'eu', code: 'frozen-regression' },
  },
  {
    alert: 'GranaryGuardHolds',
    change: [{ name: 'guards', labels: { code: 'applied-uncertain' }, value: always(1) }],
    labels: { seed: 'eu', code: 'applied-uncertain', destination: 'lost' },
  },
  {
    alert: 'GranaryDestinationNotReady',
    change: [{ name: 'destination_ready', labels: { destination: 'lost' }, value: always(0) }],
    labels: { seed: 'eu', destination: 'lost' },
  },
  {
    // Its probe may pass all the same.
    alert: 'GranaryDestinationNotReady',
    change: [{ name: 'guards', labels: { code: 'destination-unknown' }, value: always(1) }],
    labels: { seed: 'eu', destination: 'lost' },
  },
  {
    alert: 'GranaryCertificateEnds',
    change: [
      {
        name: 'certificate_expiry_timestamp_seconds',
        labels: { certificate: 'member' },
        value: always(20 * day),
      },
    ],
    labels: { ...shop, certificate: 'member' },
  },
  { alert: 'GranaryAgentGone', change: [{ name: 'build_info', value: null }], labels: {} },
  {
    alert: 'GranarySeedNotServed',
    change: [{ name: 'config_in_use', value: null }],
    labels: { seed: 'eu' },
  },
  {
    alert: 'GranaryAgentStuck',
    change: [{ name: 'last_pass_timestamp_seconds', value: always(0) }],
    labels: { seed: 'eu' },
  },
  {
    alert: 'GranaryConfigInvalid',
    change: [{ name: 'config_valid', value: always(0) }],
    labels: { seed: 'eu' },
  },
  {
    alert: 'GranarySourceNotRead',
    change: [{ name: 'source_last_fetch_timestamp_seconds', value: always(0) }],
    labels: { job: 'granary', instance: 'granary-0' },
  },
  {
    alert: 'GranarySpoolTooSmall',
    change: [
      { name: 'spool_free_bytes', value: always(2e9) },
      { name: 'spool_size_bytes', value: always(3e9) },
      { name: 'snapshot_bytes', labels: shop, value: always(1e9) },
    ],
    labels: { job: 'granary', instance: 'granary-0' },
  },
  {
    alert: 'GranaryNotificationsFailing',
    change: [
      { name: 'notifications_total', relabel: { result: 'failed' }, value: `0x150 1+0x${minutes - 151}` },
    ],
    labels: { type: 'webhook' },
  },
];

/** A recording in which something is otherwise. Fails where no real sample is like that. */
function changed(samples: readonly Sample[], change: Case['change'][number]): Sample[] {
  const { name, labels = {}, value, relabel = {} } = change;
  const fits = (one: Sample) =>
    one.name === `granary_${name}` && Object.entries(labels).every(([key, text]) => one.labels[key] === text);
  if (!samples.some(fits)) throw new Error(`the agent tells no granary_${name} ${JSON.stringify(labels)}`);
  return samples.map((one) => {
    if (!fits(one)) return one;
    const values = value ?? `${one.value}+0x29 stale`;
    return { ...one, labels: { ...one.labels, ...relabel }, value: values };
  });
}

describeWith(['etcd-3.5', 'openssl', 'prometheus'], 'what an agent tells Prometheus', () => {
  let text = '';
  let now = 0;
  let recorded: Sample[] = [];
  let quiet: Sample[] = [];

  beforeAll(async () => {
    text = await recordMetrics();
    recorded = parseMetrics(text);
    now = Number(recorded.find(({ name }) => name === 'granary_last_pass_timestamp_seconds')?.value);
    // What was wrong on purpose while it was recorded is well.
    quiet = [
      { name: 'guards', value: always(0) },
      { name: 'drill_due', value: always(0) },
      { name: 'destination_ready', value: always(1) },
      { name: 'certificate_expiry_timestamp_seconds', value: always(90 * day) },
      { name: 'spool_free_bytes', value: always(9e9) },
      { name: 'spool_size_bytes', value: always(10e9) },
    ].reduce((samples, change) => changed(samples, change), recorded);
  });

  test('the rules are well-formed', () => {
    const { ok, output } = run(['check', 'rules', rulesFile]);
    expect(ok, output).toBe(true);
  });

  test('an agent that is well alerts nobody', () => {
    const all = { expr: 'ALERTS', eval_time: '180m', exp_samples: [] };
    const { ok, output } = testRules(rulesFile, [
      { input_series: seriesOf(quiet, now), promql_expr_test: [all] },
    ]);
    expect(ok, output).toBe(true);
  });

  test('each alert has a case', () => {
    const covered = new Set(cases.map(({ alert }) => alert));
    expect([...covered].toSorted()).toEqual(rules.map(({ alert }) => alert).toSorted());
  });

  test.each(cases.map((one) => [one.alert, one] as const))('%s', (alert, { change, labels, after = 180 }) => {
    const rule = rules.find((one) => one.alert === alert);
    const severity = rule?.labels.severity ?? '';
    const samples = change.reduce((all, one) => changed(all, one), quiet);
    const expected = Object.entries({ alertname: alert, alertstate: 'firing', severity, ...labels });
    const firing = {
      expr: 'ALERTS{alertstate="firing"}',
      eval_time: `${after}m`,
      exp_samples: [{ labels: `ALERTS{${expected.map(([key, value]) => `${key}="${value}"`)}}`, value: 1 }],
    };
    const input_series = seriesOf(samples, now);
    const { ok, output } = testRules(rulesFile, [{ input_series, promql_expr_test: [firing] }]);
    expect(ok, output).toBe(true);
    // Nothing is expected, so that promtool shows what came, texts filled in.
    const shown = testRules(rulesFile, [
      { input_series, alert_rule_test: [{ eval_time: `${after}m`, alertname: alert, exp_alerts: [] }] },
    ]).output;
    const summary = /summary="((?:[^"\\]|\\.)*)"/.exec(shown)?.[1];
    expect(summary, shown).toMatch(/\w/);
    expect(summary).not.toMatch(/<no value>|error|\{\{/);
  });

  test('every name and label that rules and dashboard use is one of a real agent', () => {
    const declared = declaredMetrics(text);
    const known = new Map<string, Set<string>>();
    for (const { name, labels } of recorded) {
      const names = known.get(name) ?? new Set(['job', 'instance']);
      for (const label of Object.keys(labels)) names.add(label);
      known.set(name, names);
    }
    const used = [...rules.map(({ alert, expr }) => [alert, expr] as const), ...expressions];
    expect(used.length).toBeGreaterThan(25);
    for (const [where, expr] of used) {
      const metrics = [...expr.matchAll(/\b((?:granary|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)];
      expect(metrics.length, `${where}: ${expr}`).toBeGreaterThan(0);
      const labels = new Set(metrics.flatMap(([, name = '']) => [...(known.get(name) ?? [])]));
      for (const [, name = '', selector = ''] of metrics) {
        expect(declared, `${where}: ${name}`).toContain(name);
        for (const [, label = ''] of selector.matchAll(/(\w+)\s*(?:=|!)/g))
          expect([...(known.get(name) ?? [])], `${where}: ${name}{${label}}`).toContain(label);
      }
      for (const [, list = ''] of expr.matchAll(/\b(?:by|on)\s*\(([^)]*)\)/g))
        for (const label of list.split(',').map((each) => each.trim()))
          expect([...labels], `${where}: by (${label})`).toContain(label);
    }
  });

  test('every panel of the dashboard shows something', () => {
    const filled = (expr: string) =>
      expr
        .replaceAll('$__rate_interval', '5m')
        .replaceAll('$__range', '1h')
        .replaceAll(/\$(seed|cluster)/g, '.*');
    for (const [title, expr] of expressions) {
      const input_series = seriesOf(recorded, now);
      const one = { expr: filled(expr), eval_time: '60m', exp_samples: [] };
      const { ok, output } = testRules(rulesFile, [{ input_series, promql_expr_test: [one] }]);
      // promtool says what came instead of nothing; an expression that is none fails otherwise.
      expect(ok, `${title}: ${expr} gives nothing`).toBe(false);
      expect(output, `${title}: ${expr}`).toMatch(/got:"?\s*\S/);
      expect(output, `${title}: ${expr}`).not.toMatch(/parse error|err:/);
    }
  });
});

describe('runbooks', () => {
  test.each(rules.map((rule) => [rule.alert, rule] as const))('%s has one', (alert, { annotations }) => {
    expect(annotations.runbook).toBe(`docs/operations/alerts.md#${alert.toLowerCase()}`);
    const [, section = ''] = runbooks.split(`\n## ${alert}\n`);
    const body = section.split('\n## ')[0] ?? '';
    expect(body.length).toBeGreaterThan(200);
    expect(body).toContain('`granary ');
  });
});
