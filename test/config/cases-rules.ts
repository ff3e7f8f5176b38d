/** Documents that are right by themselves and wrong together. Marks say what is found and where. */
import {
  bucket,
  cluster,
  credential,
  disk,
  document,
  etcdKeys,
  type Files,
  policy,
  s3Keys,
  seed,
  sound,
} from './support.ts';

const policySpec = (text: string) =>
  document('Policy', 'hourly', `{clusters: {}, destinations: [disk], ${text}}`);
const scheduled = 'schedule: {cron: "0 * * * *"}';
const kept = 'keep: {last: 3}';
const recipient = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p';
/** The first key of RFC 8032, section 7.1. */
const sshRecipient = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea';
/** Well-formed, and no point of the curve. */
const noPoint = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const otherRecipient = 'age1jyadnkhx50j9mh6k376r9s369aqvl948s6zqr58lqhjqygw8d4nsyvhrak';

const seedWith = (more: string) => seed('eu-west', `{clusters: [${cluster('prod-a', more)}]}`);
const seedAt = (endpoints: string, more = '') =>
  seed('eu-west', `{clusters: [{name: prod-a, endpoints: ${endpoints}${more}}]}`);

export const ruleCases: Readonly<Record<string, Files>> = {
  'a sound repository has nothing to say': sound,
  'names are unique per kind, wherever they are': {
    ...sound,
    'disk.yaml': `${disk('disk')}---\n${disk('⟦duplicate-name⟧disk').replace('/backups/⟦duplicate-name⟧disk', '/other')}`,
    'x/hourly.yaml': seed('disk').replace('prod-a', 'prod-b'),
  },
  'a broken document still takes its name': {
    ...sound,
    'a.yaml': 'kind: Destination\nmetadata: {name: disk}\nspec: ⟦yaml-syntax⟧@\n',
    'disk.yaml': disk('⟦duplicate-name⟧disk').replace('/backups/⟦duplicate-name⟧disk', '/other'),
  },
  'cluster names are unique in a seed': {
    ...sound,
    'seed.yaml': seed(
      'eu-west',
      `{clusters: [${cluster('a')}, ${cluster('b')}, ${cluster('⟦duplicate-cluster⟧a')}]}`,
    ),
  },
  'reserved names of policies': {
    ...sound,
    'b.yaml': ['manual', 'leases', 'changes', 'freezes']
      .map((name) => policy(`⟦reserved-name⟧${name}`))
      .join('---\n'),
  },
  'two Repositories': {
    ...sound,
    'r.yaml': `${document('Repository', 'a', '{}')}---\n${document('Repository', 'a', '{}').replace('Repository', '⟦second-repository⟧Repository')}`,
  },
  'references that lead nowhere': {
    ...sound,
    'seed.yaml': seed(
      'eu-west',
      `{defaultDestination: ⟦unknown-reference⟧nope, clusters: [${cluster('prod-a', ', tls: {credential: ⟦unknown-reference⟧t}, auth: {credential: ⟦unknown-reference⟧u}')}]}`,
    ),
    'b.yaml': bucket(
      'abc',
      ', credential: ⟦unknown-reference⟧key, seeds: [eu-west, ⟦unknown-reference⟧eu-east]',
    ),
    'c.sops.yaml': credential(
      'c',
      '{type: s3, destinations: [⟦unknown-reference⟧no], seeds: [⟦unknown-reference⟧no]}',
      s3Keys,
    ),
    'policy.yaml': document(
      'Policy',
      'p',
      `{clusters: {seeds: [eu-west, ⟦unknown-reference⟧us], names: [prod-a, ⟦unknown-reference⟧prod-z]}, ${scheduled}, ${kept}, destinations: [disk, {name: ⟦unknown-reference⟧tape}]}`,
    ),
  },
  'references to faulty objects are no second fault': {
    ...sound,
    'disk.yaml': disk('disk', ', ⟦unknown-field⟧x: 1'),
    'seed.yaml': seed('eu-west', '{⟦unknown-field⟧y: 1, defaultDestination: broken, clusters: []}'),
    'broken.yaml': 'kind: Destination\nmetadata: {name: broken}\nspec: ⟦yaml-syntax⟧%\n',
  },
  'other faults of a faulty object are found too': {
    ...sound,
    'seed.yaml': seed(
      'eu-west',
      `{⟦unknown-field⟧y: 1, clusters: [⟦wrong-type⟧5, ⟦missing-field⟧{name: x}, ${cluster('prod-a', ', tls: {credential: ⟦unknown-reference⟧no}')}]}`,
    ),
  },
  'what only follows from another fault is not told': {
    'seed.yaml': seed(
      'eu-west',
      `{⟦unknown-field⟧defaultDestinaton: disk, clusters: [${cluster('prod-a')}]}`,
    ),
    'disk.yaml': disk('disk'),
    'p.yaml': document('Policy', 'p', `{clusters: {}, ${scheduled}, keep: {last: ⟦wrong-type⟧"3"}}`),
  },
  'a named destination that does not serve a seed': {
    ...sound,
    'us.yaml': seed(
      'us',
      `{defaultDestination: ⟦destination-not-for-seed⟧disk, clusters: [${cluster('a')}]}`,
    ),
    'disk.yaml': disk('disk', ', seeds: [eu-west]'),
    'policy.yaml': policy('hourly').replace('[disk]', '[⟦destination-not-for-seed⟧disk]'),
  },
  'a policy for the right seed only may name it': {
    ...sound,
    'us.yaml': seed('us', `{defaultDestination: disk2, clusters: [${cluster('a')}]}`),
    'disk.yaml': `${disk('disk', ', seeds: [eu-west]')}---\n${disk('disk2')}`,
    'policy.yaml': `${policy('hourly').replace('{}', '{seeds: [eu-west]}')}---\n${policy('us').replace('{}', '{seeds: [us]}').replace('[disk]', '[disk2]')}`,
  },
  'audience of credentials': {
    ...sound,
    'seed.yaml': seedWith(', auth: {credential: ⟦audience⟧etcd}'),
    'us.yaml': seed('us').replace('prod-a', 'b'),
    'etcd.sops.yaml': credential('etcd', '{type: etcd, seeds: [us]}', etcdKeys),
    's3.sops.yaml': credential('s3', '{type: s3, seeds: [us], destinations: [abc]}', s3Keys),
    'b.yaml': `${bucket('abc', ', credential: ⟦audience⟧s3')}---\n${bucket('def', ', credential: ⟦audience⟧s3, seeds: [us]')}`,
    'policy.yaml': policy('hourly').replace('[disk]', '[disk, abc]'),
  },
  'audience of a credential that no destination uses': {
    ...sound,
    'c.sops.yaml': credential('c', '{type: etcd, ⟦audience⟧destinations: [disk]}', etcdKeys),
  },
  'credentials of the wrong type': {
    ...sound,
    'seed.yaml': seedWith(', tls: {credential: ⟦credential-type⟧s3}'),
    'b.yaml': bucket('abc', ', credential: ⟦credential-type⟧etcd'),
    'etcd.sops.yaml': credential('etcd', '{type: etcd}', etcdKeys),
    's3.sops.yaml': credential('s3', '{type: s3}', s3Keys),
  },
  'credentials without what their use needs': {
    ...sound,
    'seed.yaml': seedWith(', tls: {credential: ⟦missing-data⟧user}, auth: {credential: ⟦missing-data⟧ca}'),
    'a.sops.yaml': credential('user', '{type: etcd}', ['username', 'password']),
    'b.sops.yaml': credential('ca', '{type: etcd}', ['caCertificate']),
  },
  'a credential in a file of another name, with others': {
    ...sound,
    'c.yaml': `${credential('c', '{type: s3}', s3Keys).replace('Credential', '⟦credential-file-name⟧⟦credential-not-alone⟧Credential')}---\n${disk('d')}`,
  },
  'plain text in data': {
    ...sound,
    'c.sops.yaml': `${document('Credential', 'c', '{type: s3}')}data:\n  accessKeyId: ENC[x]\n  secretAccessKey: ⟦plain-secret⟧hunter2\n`,
  },
  'half a pair': {
    ...sound,
    'a.sops.yaml': credential('a', '{type: s3}', ['⟦half-a-pair⟧accessKeyId']),
    'b.sops.yaml': credential('b', '{type: etcd}', ['⟦half-a-pair⟧password', '⟦half-a-pair⟧certificate']),
  },
  'data that does not fit the type': {
    ...sound,
    'a.sops.yaml': credential('a', '{type: s3}', ['⟦unknown-data⟧username']).replace(
      '\ndata:',
      '\n⟦missing-data⟧data:',
    ),
    'b.sops.yaml': credential('b', '{type: token}', ['token', '⟦unknown-data⟧tokn']),
    'c.sops.yaml': credential('c', '{type: token}', ['⟦unknown-data⟧url']).replace(
      '\ndata:',
      '\n⟦missing-data⟧data:',
    ),
  },
  'endpoints of stores': {
    ...sound,
    'b.yaml': [
      bucket('aaa', ', forcePathStyle: true, endpoint: ⟦bad-endpoint⟧minio.example'),
      bucket('bbb', ', forcePathStyle: true, endpoint: ⟦bad-endpoint⟧"https://u:p@minio.example"'),
      bucket('ccc', ', forcePathStyle: true, endpoint: ⟦bad-endpoint⟧"https://minio.example/x?y"'),
      bucket('ddd', ', forcePathStyle: true, endpoint: ⟦bad-endpoint⟧"s3://minio.example"'),
      bucket('eee', ', forcePathStyle: true, endpoint: "https://minio.example:9000/"'),
      bucket('fff', ', forcePathStyle: false, endpoint: "http://[::1]:9000"'),
      bucket('ggg', ', ⟦endpoint-without-path-style⟧endpoint: "https://minio.example"'),
    ].join('---\n'),
  },
  'certificates of stores': {
    ...sound,
    'b.yaml': [
      bucket('aaa', ', caCertificate: ⟦bad-certificate⟧hello'),
      bucket(
        'bbb',
        ', caCertificate: ⟦bad-certificate⟧"-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----"',
      ),
      bucket(
        'ccc',
        ', caCertificate: ⟦bad-certificate⟧"-----BEGIN PRIVATE KEY-----\\nMIIB\\n-----END PRIVATE KEY-----"',
      ),
    ].join('---\n'),
  },
  'destinations in one another': {
    'a.yaml': bucket('aaa', '').replace(
      'bucket: aaa',
      'bucket: ⟦overlapping-destinations⟧⟦overlapping-destinations⟧etcd',
    ),
    'b.yaml': bucket('bbb', ', prefix: x').replace('bucket: bbb', 'bucket: ⟦overlapping-destinations⟧etcd'),
    'c.yaml': bucket('ccc', ', prefix: xy').replace('bucket: ccc', 'bucket: ⟦overlapping-destinations⟧etcd'),
    'd.yaml': bucket('ddd', ', forcePathStyle: true, endpoint: "https://MINIO.example:443"').replace(
      'bucket: ddd',
      'bucket: ⟦overlapping-destinations⟧etcd',
    ),
    'e.yaml': bucket('eee', ', forcePathStyle: true, endpoint: "https://minio.example/"').replace(
      'bucket: eee',
      'bucket: ⟦overlapping-destinations⟧etcd',
    ),
    'f.yaml': disk('f').replace('/backups/f', '⟦overlapping-destinations⟧/backups/./f/'),
    'g.yaml': disk('g').replace('/backups/g', '⟦overlapping-destinations⟧/backups/f/deep'),
  },
  'destinations side by side': {
    'a.yaml': bucket('aaa', ', prefix: x').replace('bucket: aaa', 'bucket: etcd'),
    'b.yaml': bucket('bbb', ', prefix: xy').replace('bucket: bbb', 'bucket: etcd'),
    'c.yaml': bucket('ccc', ', forcePathStyle: true, endpoint: "https://minio.example:9000"').replace(
      'bucket: ccc',
      'bucket: etcd',
    ),
    'd.yaml': `${disk('d')}---\n${disk('d2')}`,
  },
  'endpoints of etcd': {
    ...sound,
    'seed.yaml': seedAt(
      '[⟦bad-endpoint⟧"10.0.0.1:2379", "https://10.0.0.1:2379", ⟦bad-endpoint⟧"https://10.0.0.2:2379/v3", ⟦bad-endpoint⟧"https:///x", ⟦bad-endpoint⟧"https://a b"]',
    ),
  },
  'tls that does not fit': {
    ...sound,
    'seed.yaml': seedAt('["http://10.0.0.1:2379"]', ', ⟦tls-without-https⟧tls: {caFile: /ca}'),
    'b.yaml': seed(
      'b',
      `{clusters: [${cluster('x', ', ⟦tls-source⟧tls: {certFile: /c}')}, ${cluster('y', ', ⟦tls-source⟧tls: {credential: etcd, caFile: /c}')}]}`,
    ),
    'etcd.sops.yaml': credential('etcd', '{type: etcd}', etcdKeys),
  },
  'schedules that never come or are none': {
    ...sound,
    'p.yaml': ['* * * *', '*/5 * * * * *', '99 * * * *', '0 0 31 2 *', '@hourly']
      .map((cron, index) => policy(`p${index}`).replace('"0 * * * *"', `⟦bad-schedule⟧"${cron}"`))
      .join('---\n'),
  },
  'time zones': {
    ...sound,
    'policy.yaml': policySpec(
      'schedule: {cron: "0 * * * *", timeZone: ⟦bad-time-zone⟧Europe/Prag}, keep: {last: 3, timeZone: ⟦bad-time-zone⟧"+01:00"}',
    ),
  },
  'nothing kept': {
    ...sound,
    'policy.yaml': document(
      'Policy',
      'hourly',
      `{clusters: {}, ${scheduled}, ⟦empty-keep⟧keep: {}, destinations: [{name: disk, ⟦empty-keep⟧keep: {last: 0, within: 0s}}]}`,
    ),
  },
  'a destination twice, and too few for the copies': {
    ...sound,
    'policy.yaml': policy('hourly', ', minimumCopies: ⟦too-many-copies⟧3').replace(
      '[disk]',
      '[disk, ⟦duplicate-item⟧{name: disk}]',
    ),
  },
  recipients: {
    ...sound,
    'policy.yaml': [
      policy(
        'a',
        `, encryption: {recipients: [${recipient}, ⟦bad-recipient⟧${recipient.replace('ql3z', 'ql3q')}]}`,
      ),
      policy('b', `, encryption: {recipients: [⟦bad-recipient⟧age1short, ⟦bad-recipient⟧ssh-ed25519 AAAA]}`),
      policy('c', `, encryption: {recipients: ⟦lone-recipient⟧[${recipient}]}`),
      policy('d', `, encryption: {recipients: [${recipient}, ${otherRecipient}]}`),
      policy('e', `, encryption: {recipients: [${recipient}, ⟦bad-recipient⟧AGE-SECRET-KEY-1QQQ]}`),
      policy('f', `, encryption: {recipients: [${sshRecipient} me @ host, ${recipient}]}`),
      policy('g', `, encryption: {recipients: [${recipient}, ⟦bad-recipient⟧${noPoint}]}`),
      policy('h', `, encryption: {recipients: [${recipient}, ⟦bad-recipient⟧ssh-rsa AAAAB3NzaC1yc2E=]}`),
      policy(
        'i',
        `, encryption: {recipients: ⟦lone-recipient⟧[${sshRecipient}, ⟦duplicate-item⟧${sshRecipient} me]}`,
      ),
    ].join('---\n'),
  },
  'durations and sizes without sense': {
    ...sound,
    'policy.yaml': document(
      'Policy',
      'hourly',
      `{clusters: {}, destinations: [disk], ${kept}, schedule: {cron: "0 * * * *", jitter: ⟦out-of-range⟧25h, startingDeadline: ⟦out-of-range⟧1s}, stallTimeout: ⟦out-of-range⟧0s, maxDatabaseSize: ⟦out-of-range⟧"0"}`,
    ),
  },
  'what is disabled, locked or suspended is said': {
    ...sound,
    'a.yaml': seed('us', `{enabled: ⟦skipped⟧false, clusters: [${cluster('a', ', enabled: false')}]}`),
    'b.yaml': seed('eu', `{clusters: [${cluster('a', ', enabled: ⟦skipped⟧false')}, ${cluster('b')}]}`),
    'c.yaml': bucket('abc', ', locked: ⟦skipped⟧true'),
    'd.sops.yaml': credential('key', '{type: s3, locked: ⟦skipped⟧true}', s3Keys),
    'p.yaml': policy('p', ', suspend: ⟦skipped⟧true'),
  },
  'backup is off: no policy': { 'seed.yaml': seed('eu-west').replace('spec', '⟦backup-off⟧spec') },
  'backup is off: no destination': {
    'seed.yaml': seed('eu-west').replace('spec', '⟦backup-off⟧spec'),
    'p.yaml': policy('p').replace(', destinations: [disk]', ''),
  },
  'backup is off: the only destination is locked': {
    ...sound,
    'seed.yaml': seed('eu-west').replace('spec', '⟦backup-off⟧spec'),
    'disk.yaml': disk('disk', ', locked: ⟦skipped⟧true'),
  },
  'backup is off: the only policy is suspended': {
    ...sound,
    'seed.yaml': seed('eu-west').replace('spec', '⟦backup-off⟧spec'),
    'policy.yaml': policy('hourly', ', suspend: ⟦skipped⟧true'),
  },
  'backup is off for one cluster of several': {
    ...sound,
    'seed.yaml': seed('eu-west', `{clusters: [${cluster('a')}, ⟦backup-off⟧${cluster('b')}]}`),
    'policy.yaml': policy('hourly').replace('{}', '{names: [a]}'),
  },
  'a policy that matches nothing': {
    ...sound,
    'p.yaml': policy('p').replace(
      'clusters: {}',
      '⟦policy-without-clusters⟧clusters: {matchLabels: {env: prod}}',
    ),
  },
};
