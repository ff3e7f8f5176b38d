/** What was recorded of an agent, as the input of `promtool test rules`, and what promtool says of it. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** A number, or values in promtool's notation. */
  readonly value: number | string;
}

/** Samples of Prometheus' text format, without those of histograms. */
export function parseMetrics(text: string): Sample[] {
  return [...text.matchAll(/^([a-z_]+)(?:\{(.*)\})? ([-\d.e+]+)$/gm)].map(
    ([, name = '', labels = '', value]) => ({
      name,
      labels: Object.fromEntries(
        [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', each = '']) => [key, each]),
      ),
      value: Number(value),
    }),
  );
}

/** Names in the text format that the agent declares, with or without samples. */
export function declaredMetrics(text: string): Set<string> {
  return new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name = '']) => name));
}

/** For so long the recorded state stays as it is. Rules are evaluated only until somebody looks. */
export const minutes = 780;

/**
 * The samples as series of thirteen hours that begin at promtool's moment zero. Times count from then; those of events
 * that come again and again move on.
 * @param now the moment of the recording, in seconds
 */
export function seriesOf(samples: readonly Sample[], now: number): { series: string; values: string }[] {
  const moving = /_(last_\w+|probed)_timestamp_seconds$/;
  return samples.map(({ name, labels, value }) => {
    const all = { ...labels, job: 'granary', instance: 'granary-0' };
    const of = Object.entries(all).map(([key, text]) => `${key}="${text}"`);
    const series = `${name}{${of.join(',')}}`;
    if (typeof value === 'string') return { series, values: value };
    const isTime = /_timestamp_seconds$|^process_start_time_seconds$/.test(name);
    const start = isTime ? Math.round(value - now) : value;
    return { series, values: `${start}+${moving.test(name) ? 60 : 0}x${minutes}` };
  });
}

export interface PromTest {
  readonly input_series: { series: string; values: string }[];
  readonly promql_expr_test?: readonly object[];
  readonly alert_rule_test?: readonly object[];
}

/** Runs the tests over a file of rules. */
export function testRules(rules: string, tests: readonly PromTest[]): { ok: boolean; output: string } {
  using folder = tempFolder('promtool');
  const file = folder.join('test.yaml');
  const all = tests.map((one) => ({ interval: '1m', ...one }));
  writeFileSync(file, stringify({ rule_files: [rules], evaluation_interval: '1m', tests: all }));
  return run(['test', 'rules', file]);
}

export function run(args: readonly string[]): { ok: boolean; output: string } {
  const { status, stdout, stderr } = spawnSync(requireTool('prometheus', 'promtool'), args, {
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
  });
  return { ok: status === 0, output: `${stdout}${stderr}` };
}
