/** Names of buckets and containers, each by its provider's own rules, and the words that stand for others. */
import type { AzureDestination, GcsDestination, S3Destination } from '../../model/config.ts';
import { quoted } from '../words.ts';
import type { Rule, SourcedDestination } from './context.ts';

/** The field that says where a destination is. */
export function placeField({ object, written }: SourcedDestination): 'bucket' | 'container' | 'path' {
  if (object.provider === 'filesystem') return 'path';
  return object.provider === 'azure' && 'container' in written.spec ? 'container' : 'bucket';
}

export const bucketNamesAreAllowed: Rule = ({ destinations, report }) => {
  for (const sourced of destinations) {
    const { object, source, spec } = sourced;
    if (object.provider === 'filesystem') continue;
    const field = placeField(sourced);
    const name = object.provider === 'azure' ? object.container : object.bucket;
    const problem = name === '' ? null : bucketNameProblem(object, name);
    if (problem === null) continue;
    report(source, `${spec}/${field}`, {
      code: 'bad-bucket-name',
      message: `${quoted(name)} cannot be the name of a ${field} of ${providerWords[object.provider]}: ${problem}`,
      hint: `write the name as the provider shows it`,
    });
  }
};

const providerWords = { s3: 'AWS', gcs: 'Google Cloud', azure: 'Azure' } as const;

function bucketNameProblem(
  { provider, endpoint }: S3Destination | GcsDestination | AzureDestination,
  name: string,
): string | null {
  // Other stores that speak S3 have rules of their own; AWS' hold for AWS.
  if (provider === 's3') return endpoint === null ? awsProblem(name) : null;
  return provider === 'gcs' ? googleProblem(name) : azureProblem(name);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
function awsProblem(name: string): string | null {
  if (name.length > 63) return 'it has more than 63 characters';
  if (!/^[a-z0-9.-]+$/.test(name)) return 'only lower-case letters, digits, dots and dashes are allowed';
  if (name.includes('..')) return 'two dots stand side by side';
  if (isIpAddress(name)) return 'it looks like an IP address';
  const prefix = ['xn--', 'sthree-', 'amzn-s3-demo-'].find((one) => name.startsWith(one));
  if (prefix !== undefined) return `names that begin with ${quoted(prefix)} are reserved`;
  const suffix = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'].find((one) => name.endsWith(one));
  return suffix === undefined ? null : `names that end with ${quoted(suffix)} are reserved`;
}

/** https://cloud.google.com/storage/docs/buckets#naming */
function googleProblem(name: string): string | null {
  if (!/^[a-z0-9._-]+$/.test(name)) {
    return 'only lower-case letters, digits, dots, dashes and underscores are allowed';
  }
  if (name.length > 222 || name.split('.').some((part) => part.length > 63)) {
    return 'it has more than 63 characters between dots, or more than 222';
  }
  if (name.includes('..')) return 'two dots stand side by side';
  if (isIpAddress(name)) return 'it looks like an IP address';
  if (name.startsWith('goog')) return 'names that begin with `goog` are reserved';
  return /g[o0][o0]g[l1]e/.test(name) ? 'names with `google` in them are reserved' : null;
}

/** https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata */
function azureProblem(name: string): string | null {
  if (name.length > 63) return 'it has more than 63 characters';
  if (!/^[a-z0-9-]+$/.test(name)) return 'only lower-case letters, digits and dashes are allowed';
  return name.includes('--') ? 'two dashes stand side by side' : null;
}

function isIpAddress(name: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(name);
}

/** `prefix` is also called `path`, and an Azure container `bucket`. With both it would not be clear which counts. */
export const aliasesStandAlone: Rule = ({ destinations, report }) => {
  for (const { object, written, source, spec } of destinations) {
    if (object.provider === 'filesystem') continue;
    const pairs = [['prefix', 'path'], ...(object.provider === 'azure' ? [['container', 'bucket']] : [])];
    for (const [name = '', alias = ''] of pairs) {
      if (!(name in written.spec) || !(alias in written.spec)) continue;
      report(source, `${spec}/${alias}`, {
        code: 'alias-twice',
        place: 'key',
        message: `${quoted(alias)} is another word for ${quoted(name)}, and both are there`,
        hint: `keep ${quoted(name)}`,
      });
    }
  }
};

export const azureNamesItsContainer: Rule = ({ destinations, report }) => {
  for (const { object, written, source, spec } of destinations) {
    if (object.provider !== 'azure' || 'container' in written.spec || 'bucket' in written.spec) continue;
    report(source, spec, {
      code: 'missing-field',
      place: 'key',
      message: '`container` is missing in a Destination of provider azure',
      hint: 'for example `container: etcd`',
    });
  }
};
