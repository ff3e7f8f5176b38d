/** What each provider of Velero has in `config`, and what its Secret holds. */
import { X509Certificate } from 'node:crypto';
import type { Field } from './emit.ts';
import type { Fields } from './foreign.ts';
import { s3Endpoint } from './s3-endpoint.ts';

/** A field of the Destination, with the pointers of what it comes from. */
type SourcedField = Omit<Field, 'comments'> & { readonly from: readonly string[] };

export interface LocationParts {
  readonly provider: 's3' | 'gcs' | 'azure';
  readonly own: readonly SourcedField[];
  /** What the source does not say: lines to fill in. */
  readonly missing: readonly string[];
  /** What the Credential holds, and which part of the Secret's value each is. */
  readonly data: readonly { readonly key: string; readonly part: string | null }[];
  readonly notes: readonly string[];
  readonly steps: readonly string[];
}

/** The names of the plugins, which are `velero.io/aws` in full. */
export function providerParts(spec: Fields, storage: Fields, name: string): LocationParts {
  const provider = spec.required('provider').replace(/^velero\.io\//, '');
  const config = spec.below('config');
  switch (provider) {
    case 'aws':
      return awsParts(config, storage, name);
    case 'gcp':
      return gcpParts(storage, name);
    case 'azure':
      return azureParts(config, storage);
    default:
      return spec.refuse(
        'provider',
        'is none that Granary can store to',
        'aws, gcp and azure can be migrated',
      );
  }
}

/** https://github.com/vmware-tanzu/velero-plugin-for-aws/blob/main/backupstoragelocation.md */
function awsParts(config: Fields | null, storage: Fields, name: string): LocationParts {
  const own: SourcedField[] = [];
  const steps: string[] = [];
  const region = config?.text('region') ?? null;
  const url = config?.text('s3Url') ?? null;
  const address =
    s3Endpoint(url) ?? config?.refuse('s3Url', 'is no address of a store', 'scheme, host and port only');
  const endpoint = address?.endpoint ?? null;
  const pathStyle = config?.flag('s3ForcePathStyle') ?? null;
  const from = (key: string) => (config === null ? [] : [config.pointer(key)]);
  const whereabouts = region ?? address?.region ?? null;
  if (whereabouts !== null) own.push({ key: 'region', value: whereabouts, from: from('region') });
  if (endpoint !== null) own.push({ key: 'endpoint', value: endpoint, from: from('s3Url') });
  if (pathStyle !== null || endpoint !== null)
    own.push({ key: 'forcePathStyle', value: pathStyle ?? false, from: from('s3ForcePathStyle') });
  own.push(...certificate(storage));
  const key = config?.text('kmsKeyId') ?? null;
  const algorithm = config?.text('serverSideEncryption') ?? (key === null ? null : 'aws:kms');
  if (algorithm !== null && algorithm !== 'AES256' && algorithm !== 'aws:kms') {
    config?.refuse('serverSideEncryption', 'must be AES256 or aws:kms', null);
  }
  if (algorithm !== null) {
    const inner = [
      { key: 'algorithm', value: algorithm },
      ...(key === null ? [] : [{ key: 'kmsKeyId', value: key }]),
    ];
    own.push({
      key: 'serverSideEncryption',
      value: inner,
      from: [...from('serverSideEncryption'), ...from('kmsKeyId')],
    });
  }
  if (address?.locality === 'internal') {
    own.push({ key: 'locality', value: 'internal', note: 'It runs in a cluster of Kubernetes.', from: [] });
  }
  if (config?.flag('insecureSkipTLSVerify') === true) {
    steps.push(
      'give the authority of the store as `caCertificate`: Granary does not connect without checking',
    );
  }
  if (
    config?.has('customerKeyEncryptionFile') === true ||
    config?.has('customerKeyEncryptionSecret') === true
  ) {
    steps.push(
      'choose `serverSideEncryption`: keys that the client holds are not supported, backups are encrypted with age instead',
    );
  }
  const isAws = whereabouts === null && endpoint === null;
  if (isAws) steps.push(`write the region of the bucket ${storage.text('bucket')}`);
  const profile = config?.text('profile') ?? 'default';
  return {
    provider: 's3',
    own,
    missing: isAws ? ['region: FILL-IN   (the source does not say it; without it: us-east-1)'] : [],
    data: [
      { key: 'accessKeyId', part: `aws_access_key_id of the profile ${profile}` },
      { key: 'secretAccessKey', part: `aws_secret_access_key of the profile ${profile}` },
    ],
    notes:
      pathStyle === null && endpoint !== null
        ? [`${name} finds its bucket as a host name, as Velero did: s3ForcePathStyle is not set`]
        : [],
    steps,
  };
}

/** https://github.com/vmware-tanzu/velero-plugin-for-gcp/blob/main/backupstoragelocation.md */
function gcpParts(storage: Fields, name: string): LocationParts {
  const authority = storage.has('caCert');
  return {
    provider: 'gcs',
    own: [],
    missing: [],
    data: [{ key: 'serviceAccountJson', part: null }],
    notes: authority
      ? [`objectStorage.caCert is left out of ${name}: Google's own authorities are trusted`]
      : [],
    steps: [],
  };
}

/** https://github.com/vmware-tanzu/velero-plugin-for-microsoft-azure/blob/main/backupstoragelocation.md */
function azureParts(config: Fields | null, storage: Fields): LocationParts {
  const account =
    config?.required('storageAccount') ??
    storage.refuse('bucket', 'has no `config.storageAccount` beside it', null);
  const from = (key: string) => (config === null ? [] : [config.pointer(key)]);
  const own: SourcedField[] = [{ key: 'storageAccount', value: account, from: from('storageAccount') }];
  for (const key of ['resourceGroup', 'subscriptionId']) {
    const value = config?.text(key) ?? null;
    if (value !== null) own.push({ key, value, from: from(key) });
  }
  const uri = config?.text('storageAccountURI') ?? null;
  const url = uri === null ? null : URL.parse(uri);
  if (uri !== null && url === null) config?.refuse('storageAccountURI', 'is no URL', null);
  const authority = config?.text('activeDirectoryAuthorityURI') ?? '';
  const cloud = azureCloud(`${url?.hostname ?? ''} ${authority}`);
  if (cloud !== null) own.push({ key: 'cloudName', value: cloud, from: from('activeDirectoryAuthorityURI') });
  const isUsual = url === null || url.hostname.startsWith(`${account}.blob.core.`);
  if (url !== null && !isUsual)
    own.push({ key: 'endpoint', value: url.origin, from: from('storageAccountURI') });
  own.push(...certificate(storage));
  config?.flag('useAAD');
  const keyVariable = config?.text('storageAccountKeyEnvVar') ?? null;
  if (keyVariable !== null) {
    const data = [{ key: 'accountKey', part: `the value of ${keyVariable}` }];
    return { provider: 'azure', own, missing: [], data, notes: [], steps: [] };
  }
  return {
    provider: 'azure',
    own,
    missing: [
      'tenantId: FILL-IN   (AZURE_TENANT_ID of the same Secret)',
      'clientId: FILL-IN   (AZURE_CLIENT_ID of the same Secret)',
    ],
    data: [{ key: 'clientSecret', part: 'the value of AZURE_CLIENT_SECRET' }],
    notes: [],
    steps: ['write tenantId and clientId, which are AZURE_TENANT_ID and AZURE_CLIENT_ID of the Secret'],
  };
}

function azureCloud(hosts: string): 'government' | 'china' | null {
  if (/usgovcloudapi\.net|microsoftonline\.us/.test(hosts)) return 'government';
  return /chinacloudapi\.cn/.test(hosts) ? 'china' : null;
}

/** `caCert` is PEM in base64, as Kubernetes writes bytes. */
function certificate(storage: Fields): SourcedField[] {
  const written = storage.text('caCert');
  if (storage.has('caCertRef'))
    storage.refuse('caCertRef', 'names a Secret, which is not read', 'put the PEM into caCert');
  if (written === null) return [];
  const pem = written.includes('-----BEGIN') ? written : Buffer.from(written, 'base64').toString('utf8');
  if (!isValidPem(pem)) storage.refuse('caCert', 'is no PEM certificate in base64', null);
  return [{ key: 'caCertificate', value: pem, from: [storage.pointer('caCert')] }];
}

function isValidPem(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== '' && pem.includes('-----BEGIN CERTIFICATE-----');
  } catch {
    return false;
  }
}
