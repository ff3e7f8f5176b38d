/** A Seed of Kubermatic, as far as its etcd backups go. */
import { backupName } from '../../model/names.ts';
import type { Fields, ForeignObject } from './foreign.ts';
import type { NewNames } from './names.ts';

/** A destination of a Seed as Kubermatic has it, and what it is called here. */
export interface SeedDestination {
  /** In the Seed of Kubermatic. */
  readonly key: string;
  readonly name: string;
  readonly bucket: string;
  /** null: none is written. */
  readonly secret: { readonly name: string; readonly namespace: string | null } | null;
  readonly fields: Fields;
  /** Names of the fields for bucket and endpoint. */
  readonly bucketKey: string;
  readonly endpointKey: string;
}

export interface KubermaticSeed {
  readonly name: string;
  readonly object: ForeignObject;
  readonly destinations: readonly SeedDestination[];
  readonly defaultDestination: SeedDestination | null;
  /** The mapping with `backupInterval` and `backupCount`. */
  readonly settings: Fields;
}

/**
 * Reads the Seed. There are two forms: `etcdBackupRestore` with any number of destinations, and the older `backupRestore`
 * with one (https://docs.kubermatic.com/kubermatic/main/references/crds/, and the types of 2.18 for the older one).
 * @returns null where it has neither
 * @throws GranaryError `config-invalid` with file, line and column
 */
export function readKubermaticSeed(object: ForeignObject, names: NewNames): KubermaticSeed | null {
  const spec = object.fields.below('spec');
  const name = names.take('Seed', object.name);
  const settings = spec?.below('etcdBackupRestore') ?? null;
  if (settings !== null) {
    const written = settings.below('destinations');
    const destinations = (written?.keys() ?? []).flatMap((key) => {
      const fields = written?.below(key) ?? null;
      return fields === null ? [] : [destinationOf(key, fields, names, name)];
    });
    const wanted = settings.text('defaultDestination');
    const defaultDestination = destinations.find(({ key }) => key === wanted) ?? null;
    if (wanted !== null && defaultDestination === null) {
      settings.refuse('defaultDestination', `names \`${wanted}\`, and there is no such destination`, null);
    }
    return { name, object, destinations, defaultDestination, settings };
  }
  const old = spec?.below('backupRestore') ?? spec?.below('backupRestoreConfiguration') ?? null;
  if (old === null || !old.has('s3BucketName')) return null;
  const destination = {
    key: '',
    name: names.take('Destination', backupName(name)),
    bucket: old.required('s3BucketName'),
    secret: null,
    fields: old,
    bucketKey: 's3BucketName',
    endpointKey: 's3Endpoint',
  };
  return { name, object, destinations: [destination], defaultDestination: destination, settings: old };
}

function destinationOf(key: string, fields: Fields, names: NewNames, seed: string): SeedDestination {
  const secret = fields.below('credentials');
  const secretName = secret?.kubernetesName('name') ?? null;
  return {
    key,
    name: names.take('Destination', key, seed),
    bucket: fields.required('bucketName'),
    secret:
      secretName === null
        ? null
        : { name: secretName, namespace: secret?.kubernetesName('namespace') ?? null },
    fields,
    bucketKey: 'bucketName',
    endpointKey: 'endpoint',
  };
}
