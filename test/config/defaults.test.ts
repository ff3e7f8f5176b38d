/** What objects have from others where they say nothing themselves. */
import { expect, test } from 'vitest';
import type { Configuration } from '../../src/model/config.ts';
import { backupName, isDnsLabel } from '../../src/model/names.ts';
import {
  bucket,
  cluster,
  credential,
  disk,
  document,
  type Files,
  load,
  policy,
  s3Keys,
  seed,
} from './support.ts';

const scoped = (name: string, scope: string) => seed(name, `{${scope}clusters: [${cluster('prod-a')}]}`);
const hourly = document('Policy', 'hourly', '{clusters: {}, schedule: {cron: "0 * * * *"}, keep: {last: 3}}');

/** Where each seed's backups go, by the only policy, which names no destination. */
async function destinationsOf(files: Files): Promise<Record<string, string | null>> {
  const configuration = await load({ 'p.yaml': hourly, ...files });
  expect(configuration.diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
  return Object.fromEntries(configuration.seeds.map((one) => [one.name, one.defaultDestination]));
}

test('the nearest default is used: of the project, of the organization, of everybody', async () => {
  const seeds = {
    'a.yaml': scoped('shop', 'organization: acme, projects: [shop], '),
    'b.yaml': scoped('blog', 'organization: acme, projects: [blog], '),
    'c.yaml': scoped('both', 'organization: acme, projects: [blog, shop], '),
    'd.yaml': scoped('other', 'organization: globex, '),
    'e.yaml': scoped('nobody', ''),
    'f.yaml': scoped('named', 'organization: acme, defaultDestination: plain, '),
  };
  const all = {
    ...seeds,
    'w.yaml': disk('plain'),
    'x.yaml': disk('everybody', ', default: true'),
    'y.yaml': disk('acme', ', default: true, organization: acme'),
    'z.yaml': disk('acme-shop', ', default: true, organization: acme, projects: [shop]'),
  };
  expect(await destinationsOf(all)).toEqual({
    shop: 'acme-shop',
    blog: 'acme',
    both: 'acme-shop',
    other: 'everybody',
    nobody: 'everybody',
    named: 'plain',
  });
  const { 'y.yaml': _, ...withoutOrganization } = all;
  expect(await destinationsOf(withoutOrganization)).toMatchObject({ shop: 'acme-shop', blog: 'everybody' });
});

test('a default that does not serve a seed is not its default', async () => {
  expect(
    await destinationsOf({
      'a.yaml': seed('eu-west').replace('{name: eu-west}', '{name: eu-west, labels: {tier: gold}}'),
      'b.yaml': seed('eu-east'),
      'c.yaml': disk('gold', ', default: true, seeds: {matchLabels: {tier: gold}}'),
    }),
  ).toEqual({ 'eu-west': 'gold', 'eu-east': null });
});

test('a selector of seeds becomes their names', async () => {
  const { destinations } = await load({
    'a.yaml': seed('eu-west').replace('{name: eu-west}', '{name: eu-west, labels: {tier: gold, x: y}}'),
    'b.yaml': seed('eu-east').replace('{name: eu-east}', '{name: eu-east, labels: {tier: silver}}'),
    'c.yaml': disk('gold', ', seeds: {matchLabels: {tier: gold}}'),
    'd.yaml': disk('none', ', seeds: {matchLabels: {tier: gold, x: z}}'),
    'e.yaml': disk('all'),
  });
  expect(destinations.map(({ name, seeds }) => [name, seeds])).toEqual([
    ['gold', ['eu-west']],
    ['none', []],
    ['all', null],
  ]);
});

test('a destination without credential has the default one of its scope and type', async () => {
  const { destinations } = await load({
    'a.yaml': bucket('own', ', credential: named'),
    'b.yaml': bucket('by-default'),
    'c.yaml': bucket('of-acme', ', organization: acme'),
    'd.yaml': bucket('by-role', ', useInstanceRole: true'),
    'e.yaml': document('Destination', 'in-gcs', '{provider: gcs, bucket: etcd}'),
    'f.yaml': disk('folder'),
    'k.sops.yaml': credential('named', '{type: s3}', s3Keys),
    'l.sops.yaml': credential('plain', '{type: s3, default: true}', s3Keys),
    'm.sops.yaml': credential('acme', '{type: s3, default: true, organization: acme}', s3Keys),
    'n.sops.yaml': credential('etcd', '{type: etcd}', ['username', 'password']),
  });
  expect(destinations.map(({ name, credential: used }) => [name, used])).toEqual([
    ['own', 'named'],
    ['by-default', 'plain'],
    ['of-acme', 'acme'],
    ['by-role', null],
    ['in-gcs', null],
    ['folder', null],
  ]);
});

const withBackup = (more = '') =>
  seed(
    'eu-west',
    `{clusters: [${cluster('prod-a')}${more}], backup: {bucket: etcd, endpoint: "https://s3.example"}}`,
  );

/** `policy to destination, destination` of each assignment that runs. */
function assigned({ policies, seeds, destinations }: Configuration) {
  return {
    policies: policies.map(({ name, schedule, keep }) => [name, schedule.cron, keep.last]),
    default: seeds[0]?.defaultDestination,
    destinations: destinations.map(({ name, seeds: served }) => [name, served]),
  };
}

test('`backup:` alone is a destination, and every 20 minutes the last 20', async () => {
  const configuration = await load({ 'seed.yaml': withBackup() });
  expect(assigned(configuration)).toEqual({
    policies: [['eu-west-backup', '*/20 * * * *', 20]],
    default: 'eu-west-backup',
    destinations: [['eu-west-backup', ['eu-west']]],
  });
  expect(configuration.destinations[0]).toMatchObject({
    provider: 's3',
    bucket: 'etcd',
    endpoint: 'https://s3.example',
    forcePathStyle: true,
    position: { file: 'seed.yaml', line: 4 },
  });
});

test('`backup:` is the last resort: a policy, a named destination and a default come first', async () => {
  const withPolicy = await load({ 'seed.yaml': withBackup(), 'p.yaml': hourly });
  expect(assigned(withPolicy)).toMatchObject({
    policies: [['hourly', '0 * * * *', 3]],
    default: 'eu-west-backup',
  });
  const withDefault = await load({ 'seed.yaml': withBackup(), 'd.yaml': disk('disk', ', default: true') });
  expect(assigned(withDefault)).toMatchObject({
    policies: [['eu-west-backup', '*/20 * * * *', 20]],
    default: 'disk',
  });
  const forOthers = await load({
    'seed.yaml': withBackup(),
    'e.yaml': seed('eu-east'),
    'd.yaml': disk('disk'),
    'p.yaml': policy('hourly').replace('clusters: {}', 'clusters: {seeds: [eu-east]}'),
  });
  expect(forOthers.policies.map(({ name }) => name)).toEqual(['hourly', 'eu-west-backup']);
});

test('what `backup:` stands for always has a name that may be one', () => {
  expect(backupName('eu-west')).toBe('eu-west-backup');
  const long = Array.from({ length: 8 }, (_, index) => `${'a'.repeat(62)}${index}`);
  const names = long.map(backupName);
  expect(new Set(names).size).toBe(long.length);
  for (const name of [...names, backupName(`${'a'.repeat(46)}-${'b'.repeat(16)}`)]) {
    expect(isDnsLabel(name), name).toBe(true);
  }
});
