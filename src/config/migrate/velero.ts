/** A BackupStorageLocation of Velero as a Destination, and a template of its Credential. */
import { fieldPath } from '../pointer.ts';
import { credentialTemplate, type NewCredential } from './credential-template.ts';
import { documentText, type Field } from './emit.ts';
import type { Fields, ForeignObject } from './foreign.ts';
import type { NewNames } from './names.ts';
import { joined, type Migration } from './result.ts';
import { type LocationParts, providerParts } from './velero-providers.ts';

/**
 * Reads the location (https://velero.io/docs/main/api-types/backupstoragelocation/).
 * @throws GranaryError `config-invalid` with file, line and column; also for a provider that Granary cannot store to
 */
export function migrateLocation(object: ForeignObject, names: NewNames): Migration {
  const { fields, namespace } = object;
  const spec = fields.below('spec') ?? fields.refuse('spec', 'is missing', null);
  const storage =
    spec.below('objectStorage') ??
    spec.refuse('objectStorage', 'is missing', 'only object storage can be migrated');
  const name = names.take('Destination', object.name, namespace ?? '');
  const parts = providerParts(spec, storage, name);
  const credential = credentialOf(spec, parts, name, namespace, names);
  const path = `destinations/${name}.yaml`;
  const after = documentText({
    kind: 'Destination',
    name,
    ...destinationSpec(object, spec, storage, parts, credential),
  });
  const isDefault = spec.flag('default') === true;
  return joined([
    {
      files: [{ path, before: null, after }],
      notes: [...parts.notes, ...leftOut(name, spec.below('config'))],
      steps: [sharedPlaceStep(path, storage), ...parts.steps.map((step) => `${step} (${path})`)],
    },
    ...(credential === null
      ? [{ files: [], notes: [], steps: [noCredentialStep(path)] }]
      : [credentialTemplate(credential)]),
    { files: [], notes: [], steps: [isDefault ? defaultStep(name) : useStep(name)] },
  ]);
}

function destinationSpec(
  { fields, comments }: ForeignObject,
  spec: Fields,
  storage: Fields,
  { provider, own, missing }: LocationParts,
  credential: NewCredential | null,
): { spec: Field[]; head: string[]; tail: string[] } {
  const about = (...pointers: string[]) => comments.take(...pointers);
  const prefix = (storage.text('prefix') ?? '').replace(/^\/+|\/+$/g, '');
  const result: Field[] = [
    { key: 'provider', value: provider, comments: about(spec.pointer('provider')) },
    {
      key: provider === 'azure' ? 'container' : 'bucket',
      value: storage.required('bucket'),
      comments: about(storage.pointer('bucket')),
    },
  ];
  const shared =
    'As long as Velero uses this place, choose another: it refuses folders that are not its own.';
  if (prefix !== '')
    result.push({ key: 'prefix', value: prefix, comments: about(storage.pointer('prefix')), note: shared });
  for (const { from, ...field } of own) result.push({ ...field, comments: about(...from) });
  if (credential !== null) {
    const where = spec.pointer('credential');
    result.push({
      key: 'credential',
      value: credential.name,
      comments: about(where, `${where}/name`, `${where}/key`),
    });
  }
  if (spec.flag('default') === true)
    result.push({ key: 'default', value: true, comments: about(spec.pointer('default')) });
  const mode = spec.text('accessMode') ?? 'ReadWrite';
  if (!['ReadWrite', 'ReadOnly'].includes(mode)) {
    spec.refuse('accessMode', 'must be ReadWrite or ReadOnly', null);
  }
  if (mode === 'ReadOnly')
    result.push({ key: 'locked', value: true, comments: about(spec.pointer('accessMode')) });
  const tail = missing.map((line) => `# ${line}`);
  if (prefix === '') tail.push(`# ${shared}`);
  if (credential === null)
    tail.push('# credential: FILL-IN   (or useInstanceRole: true; the source names no Secret)');
  return { spec: result, head: comments.takeRest(fields.path), tail };
}

function credentialOf(
  spec: Fields,
  { provider, data }: LocationParts,
  destination: string,
  namespace: string | null,
  names: NewNames,
): NewCredential | null {
  const written = spec.below('credential');
  const secret = written?.kubernetesName('name') ?? null;
  if (written === null || secret === null) return null;
  const secretKey = written.kubernetesName('key') ?? written.refuse('key', 'is missing', null);
  return {
    name: names.take('Credential', secret, destination),
    type: provider,
    destinations: [destination],
    seeds: [],
    secret: { name: secret, namespace },
    data: data.map(({ key, part }) => ({ key, part, secretKey })),
  };
}

/** Velero marks a location unavailable where it finds folders that it has not made (`isValidSubdir` in its object store). */
function sharedPlaceStep(path: string, storage: Fields): string {
  const prefix = storage.text('prefix');
  const place =
    prefix === null ? `the bucket ${storage.text('bucket')}` : `${storage.text('bucket')}/${prefix}`;
  const other =
    prefix === null ? 'another bucket' : 'another prefix, beside that of Velero, or another bucket';
  return `write ${other} into ${path} as long as Velero uses ${place}: it refuses a location with folders that are not its own`;
}

function noCredentialStep(path: string): string {
  return `write \`credential\` or \`useInstanceRole: true\` into ${path}: the source names no Secret, so Velero used the one it was installed with or the role of its pod`;
}

function defaultStep(name: string): string {
  return `commit ${name} only after the steps above: with \`default: true\` every seed uses it whose policies name no destination`;
}

function useStep(name: string): string {
  return `name ${name} under \`destinations\` of a Policy, or as \`defaultDestination\` of a Seed: nothing uses it yet`;
}

function leftOut(name: string, config: Fields | null): string[] {
  return (config?.unread() ?? []).map(
    (key) => `${fieldPath(config?.pointer(key) ?? '')} has no counterpart here and is left out of ${name}`,
  );
}
