/** Manifests of other programs: what can be made of them, and what is left alone. */
import type { ConfigurationFile } from '../files.ts';
import { valueAt } from '../pointer.ts';
import { type ForeignObject, objectsOf } from './foreign.ts';
import { type InputDocument, readDocuments, refused } from './input.ts';
import { migrateKubermaticSeed } from './kubermatic.ts';
import { type BackupConfig, readBackupConfig } from './kubermatic-policies.ts';
import { type KubermaticSeed, readKubermaticSeed } from './kubermatic-seed.ts';
import { NewNames } from './names.ts';
import { joined, type Migration } from './result.ts';
import { migrateLocation } from './velero.ts';

const known =
  'a Seed or EtcdBackupConfig of Kubermatic (kubermatic.k8c.io), or a BackupStorageLocation of Velero (velero.io)';

/** True where a file is configuration of Granary, and so no manifest of another program. */
export function isOurs(file: ConfigurationFile): boolean {
  return readDocuments(file).some(({ value }) =>
    String(valueAt(value, '/apiVersion')).startsWith('granary.dev/'),
  );
}

/**
 * Makes Destinations, templates of Credentials, Policies and Seeds to fill in of what the files hold. All of it is one
 * input: EtcdBackupConfigs go with the Seed that has their destination.
 * @throws GranaryError `config-invalid` with file, line and column, for the first thing that cannot be migrated
 */
export function migrateOthers(files: readonly ConfigurationFile[]): Migration {
  const documents = files.flatMap(readDocuments);
  const objects = documents.flatMap(objectsOf);
  const names = new NewNames();
  const seeds: KubermaticSeed[] = [];
  const configs: { object: ForeignObject; config: BackupConfig }[] = [];
  const locations: ForeignObject[] = [];
  const alone: string[] = [];
  for (const object of objects) {
    const kind = `${object.apiVersion.split('/')[0]} ${object.kind}`;
    if (kind === 'kubermatic.k8c.io Seed') {
      const seed = readKubermaticSeed(named(object), names);
      if (seed === null) alone.push(`Seed ${object.name} (it has no \`etcdBackupRestore\`)`);
      else seeds.push(seed);
    } else if (kind === 'kubermatic.k8c.io EtcdBackupConfig') {
      configs.push({ object, config: readBackupConfig(object) });
    } else if (kind === 'velero.io BackupStorageLocation') locations.push(named(object));
    else alone.push(`${object.kind} ${object.name}`);
  }
  if (seeds.length + locations.length === 0) throw nothingKnown(files, documents, configs, alone);
  const bySeed = Map.groupBy(configs, ({ config }) => ownerOf(config, seeds));
  const left = alone.length === 0 ? [] : [`left alone: ${alone.join(', ')}`];
  return joined([
    ...seeds.map((seed) =>
      migrateKubermaticSeed(
        seed,
        (bySeed.get(seed) ?? []).map(({ config }) => config),
        names,
      ),
    ),
    ...locations.map((location) => migrateLocation(location, names)),
    { files: [], notes: left, steps: [] },
  ]);
}

function named(object: ForeignObject): ForeignObject {
  return object.name === '' ? object.fields.refuse('metadata', 'has no name', null) : object;
}

/** EtcdBackupConfigs do not name their Seed: it is the only one, or the only one with their destination. */
function ownerOf({ destination, fields }: BackupConfig, seeds: readonly KubermaticSeed[]): KubermaticSeed {
  const [only, ...more] = seeds;
  if (only !== undefined && more.length === 0) return only;
  const fitting = seeds.filter((seed) => seed.destinations.some(({ key }) => key === destination));
  const [owner, ...others] = fitting;
  if (owner !== undefined && others.length === 0) return owner;
  const hint = 'migrate one Seed at a time, each with the EtcdBackupConfigs of its own cluster';
  return fields.refuse('destination', 'does not tell which of the Seeds it is of', hint);
}

function nothingKnown(
  files: readonly ConfigurationFile[],
  documents: readonly InputDocument[],
  configs: readonly unknown[],
  alone: readonly string[],
) {
  const file = files[0]?.file ?? '-';
  const place = documents[0]?.locate('/kind', 'key') ?? { file, line: 1, column: 1 };
  if (configs.length > 0) {
    const hint = 'give the Seed in the same input: `granary migrate seed.yaml backups.yaml`';
    return refused(place, 'an EtcdBackupConfig does not say where its destination is', hint);
  }
  const what = alone.length === 0 ? '' : `: it holds ${alone.slice(0, 5).join(', ')}`;
  return refused(place, `there is nothing to migrate here${what}`, `it takes ${known}`);
}
