/** The least that somebody must be allowed to use a destination, in the words of its provider. */
import type { Destination, S3Destination } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { leastPolicy } from '../store/drivers/s3-policy.ts';
import type { Workspace } from './workspace.ts';

export interface LeastRights {
  /** As the provider takes it, to be written as JSON. */
  readonly document: object;
  /** Whom to give it to, where that is not plain. */
  readonly note: string | null;
}

/** @throws GranaryError `usage` without a name, and for a provider that has no such document; `unknown-object` */
export function leastRights({ desired }: Workspace, name: string | undefined): LeastRights {
  const { destinations } = desired.configuration;
  const known = destinations.map((one) => one.name).join(', ');
  const hint = known === '' ? 'the configuration has no destination at all' : `defined here are ${known}`;
  if (name === undefined || name.includes('/')) {
    throw new GranaryError('usage', '`--iam` is about one destination: name it', { hint });
  }
  const destination = destinations.find((one) => one.name === name);
  if (destination === undefined) {
    throw new GranaryError('unknown-object', `there is no destination ${name} in the configuration`, {
      hint,
    });
  }
  return rightsFor(destination);
}

function rightsFor(destination: Destination): LeastRights {
  switch (destination.provider) {
    case 's3':
      return { document: leastPolicy(destination), note: noteOf(destination) };
    case 'filesystem':
      throw new GranaryError('usage', `${destination.name} is a folder: no provider asks for a policy`, {
        hint: 'the user that Granary runs as must be allowed to write there',
      });
    case 'gcs':
    case 'azure':
      throw new GranaryError('usage', `\`--iam\` has no document for ${destination.provider} yet`, {
        hint: 'give a role that may read, write, list and delete objects in this bucket or container',
      });
  }
}

function noteOf({ assumeRole, serverSideEncryption }: S3Destination): string | null {
  const notes: string[] = [];
  if (assumeRole !== null) {
    notes.push(
      `attach this to ${assumeRole.roleArn}; whoever assumes it needs sts:AssumeRole on it and nothing else`,
    );
  }
  if (serverSideEncryption?.kmsKeyId) notes.push('the policy of the KMS key must allow the same');
  return notes.length === 0 ? null : notes.join('; ');
}
