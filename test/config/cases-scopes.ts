/** Organizations, projects, defaults, providers and the Repository: what is wrong with them, and where it is said. */
import {
  bucket,
  cluster,
  credential,
  disk,
  document,
  type Files,
  policy,
  s3Keys,
  seed,
  sound,
} from './support.ts';

const scoped = (name: string, scope: string, more = '') =>
  seed(name, `{${scope}, clusters: [${cluster('prod-a')}]${more}}`);
const acme = 'organization: acme';
const store = (name: string, provider: string, more: string) =>
  document('Destination', name, `{provider: ${provider}, ${more}}`);
const azure = (name: string, more: string) =>
  store(name, 'azure', `storageAccount: acme, container: etcd-${name}${more}`);
const repository = (spec: string) => document('Repository', 'fleet', spec);

export const scopeCases: Readonly<Record<string, Files>> = {
  'projects belong to an organization': {
    ...sound,
    'seed.yaml': scoped('eu-west', '⟦projects-without-organization⟧projects: [shop]'),
    'b.yaml': bucket('abc', ', ⟦projects-without-organization⟧projects: [shop]'),
    'c.sops.yaml': credential('c', '{type: s3, ⟦projects-without-organization⟧projects: [shop]}', s3Keys),
  },
  'a destination of another organization': {
    ...sound,
    'disk.yaml': disk('disk', `, ${acme}`),
    'seed.yaml': scoped('eu-west', acme, ', defaultDestination: disk'),
    'other.yaml': scoped('eu-east', 'organization: globex', ', defaultDestination: ⟦scope⟧disk'),
    'policy.yaml': policy('hourly').replace('[disk]', '[⟦scope⟧disk]'),
  },
  'a destination of another project of the same organization': {
    ...sound,
    'disk.yaml': disk('disk', `, ${acme}, projects: [shop]`),
    'seed.yaml': scoped('eu-west', `${acme}, projects: [shop, blog]`),
    'other.yaml': scoped('eu-east', `${acme}, projects: [blog]`),
    'policy.yaml': policy('hourly').replace('[disk]', '[{name: ⟦scope⟧disk}]'),
  },
  'what belongs to everybody may be used by everybody, and what is one’s own': {
    'seed.yaml': scoped('eu-west', `${acme}, projects: [shop]`),
    'disk.yaml': disk('disk'),
    'b.yaml': bucket('abc', `, ${acme}, credential: c`),
    'c.sops.yaml': credential('c', `{type: s3, ${acme}}`, s3Keys),
    'policy.yaml': policy('hourly').replace('[disk]', '[disk, abc]'),
  },
  'a credential of another organization': {
    ...sound,
    'seed.yaml': scoped(
      'eu-west',
      'organization: globex, coordination: {endpoints: ["https://10.0.0.9:2379"], tls: {credential: ⟦scope⟧e}}',
    ).replace('"https://10.0.0.1:2379"]', '"https://10.0.0.1:2379"], auth: {credential: ⟦scope⟧e}'),
    'b.yaml': bucket('abc', ', credential: ⟦scope⟧c'),
    'c.sops.yaml': credential('c', `{type: s3, ${acme}}`, s3Keys),
    'e.sops.yaml': credential('e', `{type: etcd, ${acme}}`, ['username', 'password', 'caCertificate']),
    't.sops.yaml': credential('t', `{type: token, ${acme}}`, ['token']),
    'r.yaml': repository('{notifications: [{type: slack, credential: ⟦scope⟧t}]}'),
  },
  'one default for each scope': {
    ...sound,
    'a.yaml': bucket('aaa', ', default: true'),
    'b.yaml': bucket('bbb', ', default: ⟦two-defaults⟧true'),
    'c.yaml': bucket('ccc', `, ${acme}, default: true`),
    'd.yaml': bucket('ddd', `, ${acme}, projects: [shop, blog], default: true`),
    'e.yaml': bucket('eee', `, ${acme}, projects: [blog], default: ⟦two-defaults⟧true`),
    'f.yaml': bucket('fff', ', organization: globex, default: true'),
    'k.sops.yaml': credential('k', '{type: s3, default: true}', s3Keys),
    'l.sops.yaml': credential('l', '{type: s3, default: ⟦two-defaults⟧true}', s3Keys),
    'm.sops.yaml': credential('m', '{type: gcs, default: true}', ['serviceAccountJson']),
  },
  'a default that nothing has': {
    ...sound,
    'e.sops.yaml': credential('e', '{type: etcd, default: ⟦default-without-use⟧true}', [
      'username',
      'password',
    ]),
    't.sops.yaml': credential('t', '{type: token, default: ⟦default-without-use⟧true}', ['token']),
  },
  'a default credential that is not for a destination is not used by it': {
    ...sound,
    'b.yaml': bucket('abc'),
    'k.sops.yaml': credential('k', '{type: s3, default: true, destinations: [other]}', s3Keys),
    'o.yaml': bucket('other'),
  },
  'internal destinations only': {
    ...sound,
    'seed.yaml': seed('eu-west').replace('spec:', '⟦internal-only⟧spec:'),
    'disk.yaml': disk('disk', ', locality: internal'),
  },
  'an internal destination beside an external one, and one that is locked': {
    ...sound,
    'seed.yaml': seed('eu-west').replace('spec:', '⟦internal-only⟧spec:'),
    'east.yaml': seed('eu-east'),
    'disk.yaml': disk('disk', ', locality: internal'),
    'away.yaml': disk('away', ', locked: ⟦skipped⟧true, seeds: [eu-west]'),
    'far.yaml': disk('far', ', seeds: [eu-east]'),
    'policy.yaml': [
      policy('hourly')
        .replace('clusters: {}', 'clusters: {seeds: [eu-west]}')
        .replace('[disk]', '[disk, away]'),
      policy('daily')
        .replace('clusters: {}', 'clusters: {seeds: [eu-east]}')
        .replace('[disk]', '[disk, far]'),
    ].join('---\n'),
  },
  'names of buckets, each by its provider’s rules': {
    ...sound,
    'a.yaml': bucket('aa', '').replace('bucket: aa', 'bucket: ⟦bad-bucket-name⟧Has_Upper'),
    'b.yaml': bucket('bb', '').replace('bucket: bb', 'bucket: ⟦bad-bucket-name⟧10.0.0.1'),
    'c.yaml': bucket('cc', '').replace('bucket: cc', 'bucket: ⟦bad-bucket-name⟧a..b'),
    'd.yaml': bucket('dd', ', forcePathStyle: true, endpoint: "https://minio.example"').replace(
      'bucket: dd',
      'bucket: Has_Upper',
    ),
    'e.yaml': store('ee', 'gcs', 'bucket: ⟦bad-bucket-name⟧goog-backups'),
    'f.yaml': store('ff', 'gcs', 'bucket: ⟦bad-bucket-name⟧my-g00gle-backups'),
    'g.yaml': store('gg', 'gcs', 'bucket: with_underscore'),
    'h.yaml': store('hh', 'azure', 'storageAccount: acme, container: ⟦bad-bucket-name⟧with.dot'),
    'i.yaml': store('ii', 'azure', 'storageAccount: acme, bucket: ⟦bad-bucket-name⟧a--b'),
    'j.yaml': bucket('jj', '').replace('bucket: jj', 'bucket: ⟦bad-bucket-name⟧some-s3alias'),
    'k.yaml': bucket('kk', '').replace('bucket: kk', `bucket: ⟦bad-bucket-name⟧${'a'.repeat(64)}`),
  },
  'two words for one thing': {
    ...sound,
    'a.yaml': bucket('aaa', ', prefix: x, ⟦alias-twice⟧path: y'),
    'b.yaml': store(
      'bbb',
      'azure',
      'storageAccount: acme, container: etcd, ⟦alias-twice⟧bucket: etcd, path: z',
    ),
  },
  'an Azure destination without container': {
    ...sound,
    'a.yaml': store('aaa', 'azure', 'storageAccount: acme').replace('spec:', '⟦missing-field⟧spec:'),
  },
  'fields of another provider': {
    ...sound,
    'a.yaml': azure('a', ', ⟦unknown-field⟧region: eu-central-1'),
    'b.yaml': store('bbb', 'gcs', 'bucket: bbb, ⟦unknown-field⟧assumeRole: {}'),
    'c.yaml': disk('c', ', ⟦unknown-field⟧credential: x'),
  },
  'a role and a credential': {
    ...sound,
    'a.yaml': bucket('aaa', ', ⟦instance-role-with-credential⟧useInstanceRole: true, credential: k'),
    'b.yaml': bucket('bbb', ', useInstanceRole: true'),
    'c.yaml': bucket(
      'ccc',
      ', assumeRole: {roleArn: "arn:aws:iam::123456789012:role/granary"}, credential: k',
    ),
    'd.yaml': bucket('ddd', ', assumeRole: {roleArn: ⟦bad-value⟧granary, externalId: ⟦bad-value⟧"?"}'),
    'k.sops.yaml': credential('k', '{type: s3, default: true}', s3Keys),
  },
  'data of gcs and azure': {
    ...sound,
    'a.sops.yaml': credential('a', '{type: gcs}', ['serviceAccountJson']),
    'b.sops.yaml': credential('b', '{type: gcs}', ['⟦unknown-data⟧accountKey']).replace(
      '\ndata:',
      '\n⟦missing-data⟧data:',
    ),
    'c.sops.yaml': credential('c', '{type: azure}', ['sasToken']),
    'd.sops.yaml': credential('d', '{type: azure}', ['sasToken', 'accountKey']).replace(
      '\ndata:',
      '\n⟦too-much-data⟧data:',
    ),
    'e.sops.yaml': credential('e', '{type: azure}', ['⟦unknown-data⟧accessKeyId']).replace(
      '\ndata:',
      '\n⟦missing-data⟧data:',
    ),
  },
  'a client secret is of an application in a tenant': {
    ...sound,
    'a.yaml': azure('a', ', credential: ⟦missing-field⟧s'),
    'b.yaml': azure(
      'b',
      ', credential: s, tenantId: 72f988bf-86f1-41af-91ab-2d7cd011db47, clientId: 04b07795-8ddb-461a-bbee-02f9e1bf7b46',
    ),
    'c.yaml': azure('c', ', credential: k'),
    's.sops.yaml': credential('s', '{type: azure}', ['clientSecret']),
    'k.sops.yaml': credential('k', '{type: azure}', ['accountKey']),
  },
  'a credential for another provider': {
    ...sound,
    'a.yaml': azure('a', ', credential: ⟦credential-type⟧k'),
    'b.yaml': store('bbb', 'gcs', 'bucket: bbb, credential: ⟦credential-type⟧k'),
    'k.sops.yaml': credential('k', '{type: s3}', s3Keys),
    'r.yaml': repository('{notifications: [{type: slack, credential: ⟦credential-type⟧k}]}'),
  },
  'the same place at every provider': {
    ...sound,
    'a.yaml': store('aaa', 'azure', 'storageAccount: acme, container: ⟦overlapping-destinations⟧etcd'),
    'b.yaml': store('bbb', 'azure', 'storageAccount: acme, bucket: ⟦overlapping-destinations⟧etcd, path: x'),
    'c.yaml': store('ccc', 'azure', 'storageAccount: other, container: etcd'),
    'd.yaml': store('ddd', 'gcs', 'bucket: ⟦overlapping-destinations⟧etcd, prefix: x'),
    'e.yaml': store('eee', 'gcs', 'bucket: ⟦overlapping-destinations⟧etcd, path: x/y'),
    'f.yaml': bucket('etcd'),
  },
  'the deprecated backup': {
    'seed.yaml': seed(
      'eu-west',
      `{clusters: [${cluster('prod-a')}], ⟦deprecated-backup⟧backup: {bucket: etcd, endpoint: "https://s3.example"}}`,
    ),
  },
  'a deprecated backup is held against the rules of destinations': {
    ...sound,
    'seed.yaml': seed(
      'eu-west',
      `{clusters: [${cluster('prod-a')}], ⟦deprecated-backup⟧backup: {bucket: ⟦overlapping-destinations⟧etcd, endpoint: ⟦bad-endpoint⟧"s3.example", credential: ⟦credential-type⟧t}}`,
    ),
    'b.yaml': bucket('same', ', endpoint: "s3.example", forcePathStyle: true')
      .replace('bucket: same', 'bucket: ⟦overlapping-destinations⟧etcd')
      .replace('endpoint: ', 'endpoint: ⟦bad-endpoint⟧'),
    't.sops.yaml': credential('t', '{type: token}', ['token']),
  },
  'the name of a deprecated backup is taken': {
    ...sound,
    'seed.yaml': seed(
      'eu-west',
      `{clusters: [${cluster('prod-a')}], ⟦duplicate-name⟧⟦deprecated-backup⟧backup: {bucket: etcd}}`,
    ),
    'b.yaml': disk('eu-west-backup'),
  },
  'coordination and its certificates': {
    ...sound,
    'seed.yaml': seed(
      'eu-west',
      `{coordination: {endpoints: ["http://10.0.0.9:2379", ⟦bad-endpoint⟧"10.0.0.9"], ⟦tls-source⟧⟦tls-without-https⟧tls: {certFile: /a}, auth: {credential: ⟦unknown-reference⟧no}, prefix: ⟦bad-value⟧granary}, clusters: [${cluster('prod-a')}]}`,
    ),
  },
  drills: {
    ...sound,
    'policy.yaml': policy('hourly', ', verify: {drill: {cron: "0 4 * * 0"}}'),
    'p.yaml': policy('other', ', verify: {drill: {cron: ⟦bad-schedule⟧"0 4 * *"}, hashKV: try}'),
    'q.yaml': policy('third', ', verify: {drill: {cron: "0 4 * * 0", timeZone: ⟦bad-time-zone⟧Mars}}'),
  },
  scrubs: {
    ...sound,
    'policy.yaml': policy('hourly', ', verify: {scrub: {cron: ⟦bad-schedule⟧"0 2 * *"}}'),
    'p.yaml': policy('other', ', verify: {scrub: {timeZone: ⟦bad-time-zone⟧Mars, budget: ⟦bad-value⟧2GB}}'),
    'q.yaml': policy('third', ', verify: {scrub: {cron: "0 2 * * 6", budget: "0"}}'),
  },
  approvals: {
    ...sound,
    'r.yaml': repository(
      `{approvals: [⟦approval-expired⟧{digest: ${'a'.repeat(64)}, expires: "2026-11-20T00:00:00Z"}, {digest: ${'b'.repeat(64)}, expires: "2026-12-01T00:00:00Z"}, {digest: ⟦bad-value⟧${'B'.repeat(64)}, expires: ⟦bad-value⟧tomorrow}]}`,
    ),
  },
  'protection and trust': {
    ...sound,
    'r.yaml': repository(
      '{protect: {matchLabels: ⟦bad-value⟧{}}, trust: {commits: ⟦unknown-value⟧some, allowedSigners: ⟦bad-value⟧../signers}}',
    ),
  },
  'trust in signed commits': { ...sound, 'r.yaml': repository('{trust: {commits: all}}') },
  notifications: {
    ...sound,
    'r.yaml': repository(
      `{notifications: [${[
        '⟦bad-notification⟧{type: webhook}',
        '{type: webhook, url: ⟦bad-notification⟧"http://hooks.example"}',
        '{type: webhook, url: ⟦bad-notification⟧"https://user:pw@hooks.example"}',
        '{type: webhook, url: "http://127.0.0.1:8080/x?y"}',
        '⟦bad-notification⟧{type: github, url: "https://github.example/acme/etcd"}',
        '⟦bad-notification⟧{type: gitlab, credential: hook}',
        '{type: heartbeat, url: "https://heartbeat.example/{seed}"}',
        '{type: heartbeat, url: "https://heartbeat.example", ⟦bad-notification⟧on: [failure]}',
        '{type: slack, url: ⟦open-secret⟧"https://hooks.example/services/T/B/x"}',
        '{type: slack, credential: hook, on: [failure, ⟦unknown-value⟧succes]}',
        '{type: gitlab, url: "https://gitlab.example/a/b", credential: ⟦unknown-reference⟧nope}',
      ].join(', ')}]}`,
    ),
    'h.sops.yaml': credential('hook', '{type: token}', ['token']),
  },
  'seeds chosen by labels': {
    ...sound,
    'seed.yaml': seed('eu-west').replace('name: eu-west}', 'name: eu-west, labels: {tier: gold}}'),
    'east.yaml': seed('eu-east'),
    'disk.yaml': disk('disk', ', seeds: {matchLabels: {tier: gold}}'),
    'policy.yaml': policy('hourly').replace('[disk]', '[⟦destination-not-for-seed⟧disk]'),
    'b.yaml': bucket('abc', ', seeds: ⟦missing-field⟧{⟦unknown-field⟧names: [x]}')
      .replace('⟦missing-field⟧{', '{')
      .replace('seeds:', '⟦missing-field⟧seeds:'),
  },
};
