/**
 * Makes the PrometheusRule for Kubernetes of the rules for Prometheus: `node deploy/prometheus/generate.ts`.
 * With `--check` nothing is written, and the exit code is 1 where the file is not what would be written.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';

const source = new URL('granary.rules.yaml', import.meta.url);
const target = new URL('../kubernetes/monitoring/prometheusrule.yaml', import.meta.url);

const rule = {
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'PrometheusRule',
  metadata: { name: 'granary', namespace: 'granary' },
  spec: parse(readFileSync(source, 'utf8')),
};
const text = `# Generated from deploy/prometheus/granary.rules.yaml by deploy/prometheus/generate.ts. Do not edit.\n${stringify(rule, { lineWidth: 0 })}`;

if (!process.argv.includes('--check')) writeFileSync(target, text);
else if (readFileSync(target, 'utf8') !== text) {
  console.error('error: prometheusrule.yaml is not what granary.rules.yaml makes of it');
  console.error('hint: run node deploy/prometheus/generate.ts');
  process.exitCode = 1;
}
