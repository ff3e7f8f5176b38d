import { expect, test } from 'vitest';
import { closureOf, resolveAssignments } from '../../src/config/index.ts';
import type { Assignment } from '../../src/model/config.ts';
import {
  bucket,
  cluster,
  credential,
  disk,
  document,
  etcdKeys,
  load,
  policy,
  s3Keys,
  seed,
  sound,
} from './support.ts';

function told({
  seed: { name },
  cluster: one,
  policy: { name: by },
  destinations,
  leftOut,
  skipped,
}: Assignment) {
  const to = destinations.map(({ destination, keep }) => `${destination.name} last=${keep.last}`).join(', ');
  const out = leftOut.map((each) => `${each.name}: ${each.reason}`).join(', ');
  return `${name}/${one.name} ${by} [${to}] out [${out}] ${skipped ?? 'runs'}`;
}

test('a policy applies where all given parts of its selector match', async () => {
  const configuration = await load({
    ...sound,
    'seed.yaml': [
      seed(
        'eu',
        `{clusters: [${cluster('a', ', labels: {env: prod, tier: gold}')}, ${cluster('b', ', labels: {env: test}')}]}`,
      ),
      seed('us', `{clusters: [${cluster('a')}]}`),
    ].join('---\n'),
    'policy.yaml': [
      policy('all'),
      policy('eu').replace('{}', '{seeds: [eu]}'),
      policy('gold').replace('{}', '{matchLabels: {env: prod, tier: gold}}'),
      policy('named').replace('{}', '{seeds: [us, eu], names: [a]}'),
      policy('both').replace('{}', '{names: [b], matchLabels: {env: test}}'),
    ].join('---\n'),
  });
  expect(configuration.diagnostics).toEqual([]);
  expect(
    resolveAssignments(configuration).map((one) => `${one.seed.name}/${one.cluster.name} ${one.policy.name}`),
  ).toEqual([
    'eu/a all',
    'eu/a eu',
    'eu/a gold',
    'eu/a named',
    'eu/b all',
    'eu/b eu',
    'eu/b both',
    'us/a all',
    'us/a named',
  ]);
});

test("destinations are the policy's, else the seed's default, each with the rules that hold there", async () => {
  const configuration = await load({
    'seed.yaml': [
      seed('eu', `{defaultDestination: b, clusters: [${cluster('x')}]}`),
      seed('us', `{clusters: [${cluster('x')}]}`),
    ].join('---\n'),
    'd.yaml': `${disk('a')}---\n${disk('b')}`,
    'p.yaml': [
      policy('named').replace('[disk]', '[a, {name: b, keep: {last: 9}}]'),
      policy('default').replace(', destinations: [disk]', ''),
    ].join('---\n'),
  });
  expect(resolveAssignments(configuration).map(told)).toEqual([
    'eu/x named [a last=3, b last=9] out [] runs',
    'eu/x default [b last=3] out [] runs',
    'us/x named [a last=3, b last=9] out [] runs',
    'us/x default [] out [] neither the policy nor the seed names a destination',
  ]);
});

test('what is disabled, suspended or locked is there with its reason', async () => {
  const configuration = await load({
    'seed.yaml': [
      seed('off', `{enabled: false, clusters: [${cluster('x')}]}`),
      seed('on', `{clusters: [${cluster('x', ', enabled: false')}, ${cluster('y')}]}`),
    ].join('---\n'),
    'd.yaml': [
      disk('a'),
      disk('b', ', locked: true'),
      bucket('ccc', ', credential: key'),
      disk('d', ', seeds: [off]'),
    ].join('---\n'),
    'key.sops.yaml': credential('key', '{type: s3, locked: true}', s3Keys),
    'p.yaml': [
      policy('some').replace('[disk]', '[b, a, ccc, d]'),
      policy('none').replace('[disk]', '[b, ccc, zzz]'),
      policy('later', ', suspend: true').replace('[disk]', '[a]'),
    ].join('---\n'),
  });
  const out = 'b: it is locked, ccc: its credential key is locked';
  expect(resolveAssignments(configuration).map(told)).toEqual([
    `off/x some [a last=3, d last=3] out [${out}] the seed is disabled`,
    `off/x none [] out [${out}, zzz: it does not exist] the seed is disabled`,
    'off/x later [a last=3] out [] the seed is disabled',
    `on/x some [a last=3] out [${out}, d: it does not serve the seed on] the cluster is disabled`,
    `on/x none [] out [${out}, zzz: it does not exist] the cluster is disabled`,
    'on/x later [a last=3] out [] the cluster is disabled',
    `on/y some [a last=3] out [${out}, d: it does not serve the seed on] runs`,
    'on/y none [] out [b: it is locked, ccc: its credential key is locked, zzz: it does not exist] no destination can be used: b: it is locked; ccc: its credential key is locked; zzz: it does not exist',
    'on/y later [a last=3] out [] the policy is suspended',
  ]);
});

test('a seed is concerned by what it reaches, and not by the faults of others', async () => {
  const wrong = ', nope: 1';
  const configuration = await load({
    'seeds.yaml': [
      seed(
        'eu',
        `{defaultDestination: eu-disk, clusters: [${cluster('a', ', auth: {credential: eu-etcd}')}]}`,
      ),
      seed('us', `{nope: 1, clusters: [${cluster('a')}]}`),
    ].join('---\n'),
    'd.yaml': [
      disk('eu-disk', wrong),
      disk('us-disk', wrong),
      bucket('eu-s3', `, credential: eu-key${wrong}`),
      bucket('us-s3', wrong),
    ].join('---\n'),
    'eu-key.sops.yaml': credential('eu-key', `{type: s3${wrong}}`, s3Keys),
    'us-key.sops.yaml': credential('us-key', `{type: s3${wrong}}`, s3Keys),
    'eu-etcd.sops.yaml': credential('eu-etcd', `{type: etcd${wrong}}`, etcdKeys),
    'policies.yaml': [
      policy('eu-only', wrong).replace('{}', '{seeds: [eu]}').replace('[disk]', '[eu-s3]'),
      policy('us-only', wrong).replace('{}', '{seeds: [us]}').replace('[disk]', '[us-s3]'),
      policy('all', wrong).replace(', destinations: [disk]', ''),
    ].join('---\n'),
    'broken.yaml': 'kind: Seed\nmetadata: {name: asia}\nspec: @\n',
    'unknown.yaml': '@\n',
    'lost.yaml': document('Policy', 'lost', '{}'),
    'repository.yaml': document('Repository', 'r', '{nope: 1}'),
  });
  const about = (name: string) =>
    [
      ...new Set(
        closureOf(configuration, name).map(({ subject }) =>
          subject === null ? '?' : `${subject.kind} ${subject.name}`,
        ),
      ),
    ].sort();
  expect(about('eu')).toEqual([
    '?',
    'Credential eu-etcd',
    'Credential eu-key',
    'Destination eu-disk',
    'Destination eu-s3',
    'Policy all',
    'Policy eu-only',
    'Policy lost',
    'Repository r',
  ]);
  expect(about('us')).toEqual([
    '?',
    'Destination us-s3',
    'Policy all',
    'Policy lost',
    'Policy us-only',
    'Repository r',
    'Seed us',
  ]);
  expect(about('asia')).toEqual(['?', 'Policy lost', 'Repository r', 'Seed asia']);
});

test('a configuration without faults concerns nobody', async () => {
  expect(closureOf(await load(sound), 'eu-west')).toEqual([]);
});
