/** What is applied to Kubernetes, and the units of systemd: built, and judged by the tools of those who made them. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { processIo } from '../../src/cli/io.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { root } from '../house/repository.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';

const kubernetes = join(root, 'deploy/kubernetes');
const operatorCrds = join(root, 'test/fixtures/prometheus-operator');

interface Probe {
  readonly httpGet: { readonly host?: string };
}

interface Pod {
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly containers: readonly {
    readonly args: readonly string[];
    readonly securityContext: object;
    readonly livenessProbe: Probe;
    readonly readinessProbe: Probe;
  }[];
  readonly volumes: readonly { readonly name: string }[];
}

interface Document {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: { readonly template: { readonly spec: Pod }; readonly groups: readonly object[] };
}

interface Built {
  readonly yaml: string;
  readonly documents: readonly Document[];
}

function build(folder: string): Built {
  const yaml = execFileSync(requireTool('kustomize'), ['build', folder], { encoding: 'utf8' });
  return { yaml, documents: parseAllDocuments(yaml).map((one) => one.toJS() as Document) };
}

/** An overlay as an operator writes it: a base, components, what is theirs. */
function overlay(base: string, components: readonly string[]): Built {
  using folder = tempFolder('overlay');
  const own = folder.join('own');
  mkdirSync(own);
  const to = (name: string) => relative(own, join(kubernetes, name));
  const env = '/spec/template/spec/containers/0/env';
  const patch = [
    { op: 'replace', path: `${env}/0/value`, value: 'ssh://git@git.example/fleet.git' },
    { op: 'replace', path: `${env}/1/value`, value: 'eu-west' },
  ];
  writeFileSync(
    join(own, 'kustomization.yaml'),
    JSON.stringify({
      resources: [to(base)],
      components: components.map(to),
      images: [{ name: 'granary', newName: 'images.example/granary', newTag: '0.1.0' }],
      patches: [{ target: { kind: 'Deployment', name: 'granary' }, patch: JSON.stringify(patch) }],
    }),
  );
  return build(own);
}

function podOf({ documents }: Built): Pod {
  const deployment = documents.find(({ kind }) => kind === 'Deployment');
  if (deployment === undefined) throw new Error('there is no Deployment');
  return deployment.spec.template.spec;
}

function containerOf(built: Built): Pod['containers'][number] {
  const [container] = podOf(built).containers;
  if (container === undefined) throw new Error('there is no container');
  return container;
}

describeWith(['kustomize', 'kubectl-validate'], 'the manifests for Kubernetes', () => {
  test.each([
    ['base', []],
    ['base', ['git-ssh']],
    ['base', ['git-https']],
    ['base', ['git-ssh', 'replicas']],
    ['kubeadm', ['git-ssh']],
    ['base', ['git-ssh', 'monitoring']],
  ])('%s with %j is what the API server accepts, with the Prometheus operator in it', (base, components) => {
    const { yaml } = overlay(base, components);
    expect(validate(yaml)).toMatchObject({ status: 0 });
  });

  test('a field that there is not is seen', () => {
    const { yaml } = overlay('base', []);
    const wrong = yaml.replace('terminationGracePeriodSeconds:', 'terminationGrace:');
    expect(wrong).not.toBe(yaml);
    expect(validate(wrong)).toMatchObject({ status: 1 });
  });

  test.each(['podMetricsEndpoints:', 'expr:'])(
    'a field that the Prometheus operator does not have is seen: %j',
    (field) => {
      const { yaml } = overlay('base', ['monitoring']);
      const wrong = yaml.replace(field, field.replace(/^\w+/, 'madeUp'));
      expect(wrong).not.toBe(yaml);
      expect(validate(wrong)).toMatchObject({ status: 1 });
    },
  );

  test('the pod keeps to the level `restricted` of the Pod Security Standards', () => {
    const pod = podOf(overlay('base', ['git-ssh', 'git-https']));
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect([pod.hostNetwork, pod.hostPID, pod.hostIPC]).toEqual([undefined, undefined, undefined]);
    for (const { securityContext } of pod.containers)
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    const allowed = ['configMap', 'emptyDir', 'persistentVolumeClaim', 'projected', 'secret'];
    for (const { name: _, ...source } of pod.volumes)
      for (const kind of Object.keys(source)) expect(allowed).toContain(kind);
  });

  test('replicas have a state folder each, and one at a time may be away', () => {
    const { documents } = overlay('base', ['replicas']);
    const kinds = documents.map(({ kind }) => kind);
    expect(kinds).toContain('PodDisruptionBudget');
    expect(kinds).not.toContain('PersistentVolumeClaim');
    const pod = podOf({ yaml: '', documents });
    const state = pod.volumes.filter(({ name }) => name === 'state');
    expect(state).toEqual([{ name: 'state', emptyDir: { sizeLimit: '1Gi' } }]);
    const deployment = documents.find(({ kind }) => kind === 'Deployment');
    expect(deployment).toMatchObject({ spec: { replicas: 3, strategy: { type: 'RollingUpdate' } } });
    const budget = documents.find(({ kind }) => kind === 'PodDisruptionBudget');
    expect(deployment).toMatchObject({
      spec: { template: { metadata: { labels: Object(budget).spec.selector.matchLabels } } },
    });
  });

  test('on a control-plane node only the node itself may ask', () => {
    const built = overlay('kubeadm', []);
    expect(podOf(built).hostNetwork).toBe(true);
    const { args, livenessProbe, readinessProbe } = containerOf(built);
    expect(args.filter((arg) => arg.startsWith('--listen'))).toEqual(['--listen=127.0.0.1:9595']);
    for (const probe of [livenessProbe, readinessProbe]) expect(probe.httpGet.host).toBe('127.0.0.1');
  });

  test('no Secret is among them, and everything lies in one namespace', () => {
    const { documents } = overlay('base', ['git-ssh', 'monitoring']);
    expect(documents.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['PodMonitor', 'PrometheusRule']),
    );
    expect(documents.filter(({ kind }) => kind === 'Secret')).toEqual([]);
    for (const { kind, metadata } of documents)
      if (kind !== 'Namespace') expect(metadata.namespace, `${kind} ${metadata.name}`).toBe('granary');
  });

  test('the agent is started with options that it has', () => {
    expectOptions(containerOf(overlay('base', [])).args);
  });
});

describe('what is made of something else', () => {
  test('the PrometheusRule is made of the rules', () => {
    const args = [join(root, 'deploy/prometheus/generate.ts'), '--check'];
    expect(spawnSync(process.execPath, args, { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
    const rule = parse(readFileSync(join(kubernetes, 'monitoring/prometheusrule.yaml'), 'utf8')) as Document;
    expect(rule.spec.groups.length).toBeGreaterThan(2);
  });
});

describeWith(['systemd'], 'the units of systemd', () => {
  const unit = (name: string) => join(root, 'deploy/systemd', name);
  const analyze = (...args: string[]) =>
    spawnSync(requireTool('systemd'), args, {
      encoding: 'utf8',
      env: { ...process.env, SYSTEMD_COLORS: '0' },
    });

  test.each(['granary.service', 'granary-apply.service', 'granary-apply.timer'])('%s is sound', (name) => {
    // Units of the machine are loaded too, and may have their own faults.
    const { status, stderr } = analyze('verify', unit(name));
    const ours = stderr.split('\n').filter((line) => line.includes('granary'));
    expect({ status, ours }).toEqual({ status: 0, ours: [] });
  });

  test.each(['granary.service', 'granary-apply.service'])('%s can do little else', (name) => {
    const ran = analyze('security', '--offline=true', '--threshold=20', unit(name));
    expect(ran.status, ran.stdout).toBe(0);
    const line =
      /^ExecStart=\/usr\/bin\/env granary (.*)$/m.exec(readFileSync(unit(name), 'utf8'))?.[1] ?? '';
    expectOptions(line.split(' '));
  });
});

function validate(yaml: string) {
  using folder = tempFolder('validate');
  writeFileSync(folder.join('all.yaml'), yaml);
  const args = ['--version', '1.30', '--local-crds', operatorCrds, folder.join('all.yaml')];
  return spawnSync(requireTool('kubectl-validate'), args, { encoding: 'utf8' });
}

function expectOptions([name = '', ...args]: readonly string[]): void {
  const command = buildProgram(processIo({ json: false, endsAtHangup: false })).commands.find(
    (one) => one.name() === name,
  );
  const known = command?.options.map(({ long }) => long) ?? [];
  const options = args.filter((arg) => arg.startsWith('--')).map((arg) => arg.split('=')[0]);
  expect(options.length).toBeGreaterThan(3);
  for (const option of options) expect(known).toContain(option);
}
