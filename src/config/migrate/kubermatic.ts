/** A Seed of Kubermatic with its etcd backups: Destinations, templates of Credentials, Policies and a Seed to fill in. */
import { credentialTemplate, type NewCredential } from './credential-template.ts';
import { documentText, type Field } from './emit.ts';
import { type BackupConfig, clusterLabels, policiesOf } from './kubermatic-policies.ts';
import type { KubermaticSeed, SeedDestination } from './kubermatic-seed.ts';
import type { NewNames } from './names.ts';
import { joined, type Migration } from './result.ts';
import { s3Endpoint } from './s3-endpoint.ts';

/** Everything that a Seed comes to, with the EtcdBackupConfigs that belong to it. */
export function migrateKubermaticSeed(
  seed: KubermaticSeed,
  configs: readonly BackupConfig[],
  names: NewNames,
): Migration {
  const credentials = credentialsOf(seed, names);
  const policies = policiesOf(seed, configs, names);
  const destinations = seed.destinations.map((destination) =>
    migrateDestination(seed, destination, credentials),
  );
  const skeleton = seedSkeleton(seed, configs, policies.labels);
  return joined([
    { files: [skeleton], notes: [], steps: [] },
    ...destinations,
    ...credentials.map(credentialTemplate),
    policies.migration,
    { files: [], notes: keptNotes(seed), steps: [fillInStep(seed, configs), switchOffStep(seed)] },
  ]);
}

/** One for each Secret: several destinations may share it. Its keys are those that Kubermatic reads. */
function credentialsOf({ name, destinations }: KubermaticSeed, names: NewNames): NewCredential[] {
  const bySecret = Map.groupBy(
    destinations.flatMap((one) => (one.secret === null ? [] : [{ ...one, secret: one.secret }])),
    ({ secret }) => `${secret.namespace}/${secret.name}`,
  );
  return [...bySecret.values()].flatMap((users) => {
    const [first] = users;
    if (first === undefined) return [];
    return [
      {
        name: names.take('Credential', first.secret.name, name),
        type: 's3' as const,
        destinations: users.map((user) => user.name),
        seeds: [name],
        secret: first.secret,
        data: [
          { key: 'accessKeyId', secretKey: 'ACCESS_KEY_ID', part: null },
          { key: 'secretAccessKey', secretKey: 'SECRET_ACCESS_KEY', part: null },
        ],
      },
    ];
  });
}

function migrateDestination(
  seed: KubermaticSeed,
  { name, bucket, secret, fields, bucketKey, endpointKey }: SeedDestination,
  credentials: readonly NewCredential[],
): Migration {
  const { comments } = seed.object;
  const written = fields.text(endpointKey);
  const { endpoint, region, locality } =
    s3Endpoint(written) ?? fields.refuse(endpointKey, 'is no address of a store', null);
  const credential = credentials.find(({ destinations }) => destinations.includes(name))?.name ?? null;
  const needsRegion = endpoint === null && region === null;
  const spec: Field[] = [
    { key: 'provider', value: 's3' },
    { key: 'seeds', value: [seed.name] },
    { key: 'bucket', value: bucket, comments: comments.take(fields.pointer(bucketKey)) },
  ];
  const about = comments.take(fields.pointer(endpointKey));
  if (endpoint !== null) {
    spec.push({ key: 'endpoint', value: endpoint, comments: about }, { key: 'forcePathStyle', value: true });
  } else if (region !== null) spec.push({ key: 'region', value: region, comments: about });
  const tail = endpoint === null && region === null ? [...about.above, ...about.behind] : [];
  if (needsRegion)
    tail.push('# region: FILL-IN   (the source does not say where the bucket is; without it: us-east-1)');
  if (credential !== null) {
    const where = ['', '/name', '/namespace'].map((below) => fields.pointer('credentials') + below);
    spec.push({ key: 'credential', value: credential, comments: comments.take(...where) });
  } else tail.push('# credential: FILL-IN   (the source names no Secret for it)');
  if (locality === 'internal') {
    const note = 'It runs in the cluster that it protects, and goes down with it.';
    spec.push({ key: 'locality', value: 'internal', note });
  }
  const head = [...comments.take(fields.path).above, ...comments.takeRest(fields.path)];
  const file = `destinations/${name}.yaml`;
  const after = documentText({ kind: 'Destination', name, spec, head, tail });
  const steps = [
    ...(needsRegion ? [`write the region of the bucket ${bucket} into ${file}`] : []),
    ...(secret === null ? [`name a Credential in ${file}: the source names no Secret for it`] : []),
  ];
  return { files: [{ path: file, before: null, after }], notes: [], steps };
}

function seedSkeleton(
  { name, object, defaultDestination, settings }: KubermaticSeed,
  configs: readonly BackupConfig[],
  labels: ReadonlyMap<string, readonly string[]>,
) {
  const { comments, fields } = object;
  const clusters = [...new Set(configs.map(({ cluster }) => cluster))];
  const examples = (clusters.length === 0 ? ['FILL-IN'] : clusters).flatMap((cluster) => [
    `  - name: ${cluster}`,
    ...clusterLabels(labels.get(cluster) ?? []).map((line) => `    ${line}`),
    '    endpoints: ["https://FILL-IN:2379"]',
    '    tls: {credential: FILL-IN}',
  ]);
  const note = [
    'Kubermatic does not write down where the etcd of a user cluster can be reached, so fill it in: the client URLs of its members as the agent reaches them, and the certificates. Kubermatic runs it in the namespace cluster-NAME of the seed cluster (`kubectl --namespace cluster-NAME get services,secrets`).',
    'clusters:',
    ...examples,
  ].join('\n');
  const about = comments.take(settings.pointer('defaultDestination'));
  const spec: Field[] = [
    ...(defaultDestination === null
      ? []
      : [{ key: 'defaultDestination', value: defaultDestination.name, comments: about }]),
    { key: 'clusters', value: [], note },
  ];
  const first = comments.take(fields.pointer('apiVersion'), fields.pointer('kind'));
  const own = comments.take(settings.path);
  const head = [
    ...first.above,
    ...first.behind,
    ...own.above,
    ...own.behind,
    ...comments.takeRest(settings.path),
  ];
  const path = `seeds/${name}.yaml`;
  return { path, before: null, after: documentText({ kind: 'Seed', name, spec, head }) };
}

function fillInStep({ name }: KubermaticSeed, configs: readonly BackupConfig[]): string {
  const clusters = [...new Set(configs.map(({ cluster }) => cluster))];
  const which =
    clusters.length === 0 ? 'every user cluster (`kubectl get clusters` lists them)' : clusters.join(', ');
  return `fill in \`clusters\` of seeds/${name}.yaml: endpoints and certificates of the etcd of ${which}; nothing is backed up before`;
}

function switchOffStep({ name, settings }: KubermaticSeed): string {
  const field = settings.path.split('/').at(-1);
  return `once backups of ${name} are proven (\`granary verify\`), take \`${field}\` out of the Seed of Kubermatic; until then both make backups`;
}

function keptNotes({ name, destinations }: KubermaticSeed): string[] {
  if (destinations.length === 0)
    return [`the Seed ${name} has no destinations: there is nothing to back up to yet`];
  const buckets = [...new Set(destinations.map(({ bucket }) => bucket))].join(', ');
  return [`what Kubermatic has stored in ${buckets} stays as it is: Granary neither lists nor removes it`];
}
