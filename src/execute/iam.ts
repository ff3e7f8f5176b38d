/** The least that somebody must be allowed to use a destination, in the words of its provider. */
import type { AzureDestination, Destination, GcsDestination, S3Destination } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { containerScope, leastRole as leastAzureRole } from '../store/drivers/azure-role.ts';
import { gcsRoleId, leastRole as leastGcsRole, prefixCondition } from '../store/drivers/gcs-policy.ts';
import { leastPolicy } from '../store/drivers/s3-policy.ts';
import type { Workspace } from './workspace.ts';

export interface LeastRights {
  /** As the provider takes it, to be written as JSON. */
  readonly document: object;
  /** Whom to give it to, where that is not plain. */
  readonly note: string | null;
}

/** @throws GranaryError `usage` without a name, and for a folder, which has no such document; `unknown-object` */
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
      return { document: leastPolicy(destination), note: s3Note(destination) };
    case 'gcs':
      return { document: leastGcsRole(destination), note: gcsNote(destination) };
    case 'azure':
      return { document: leastAzureRole(destination), note: azureNote(destination) };
    case 'filesystem':
      throw new GranaryError('usage', `${destination.name} is a folder: no provider asks for a policy`, {
        hint: `the user that granary runs as should own ${destination.path}, with mode 0700: what it makes there is 0600 for files and 0700 for folders`,
      });
  }
}

/** How a role of one's own is made and given, which Google keeps apart. */
function gcsNote(destination: GcsDestination): string {
  const { bucket } = destination;
  const condition = prefixCondition(destination);
  const only = condition === null ? '--condition=None' : `--condition-from-file=condition.json`;
  const notes = [
    `make it with \`gcloud iam roles create ${gcsRoleId} --project=PROJECT --file=role.json\`, and give it on this bucket only: \`gcloud storage buckets add-iam-policy-binding gs://${bucket} --member=serviceAccount:ACCOUNT --role=projects/PROJECT/roles/${gcsRoleId} ${only}\``,
    ...(condition === null
      ? []
      : [`condition.json is ${JSON.stringify({ title: 'granary', expression: condition })}`]),
  ];
  return notes.join('; ');
}

function azureNote(destination: AzureDestination): string {
  const known = destination.subscriptionId !== null && destination.resourceGroup !== null;
  const replace = known
    ? ''
    : ' (replace what is in capitals, or set `subscriptionId` and `resourceGroup` of the destination)';
  return `make it with \`az role definition create --role-definition role.json\`, and assign it on this container only: \`az role assignment create --role "Granary ${destination.storageAccount}/${destination.container}" --assignee PRINCIPAL_ID --scope ${containerScope(destination)}\`${replace}; an account key or a SAS knows no roles: a SAS for this needs racwdl`;
}

function s3Note({ assumeRole, serverSideEncryption }: S3Destination): string | null {
  const notes: string[] = [];
  if (assumeRole !== null) {
    notes.push(
      `attach this to ${assumeRole.roleArn}; whoever assumes it needs sts:AssumeRole on it and nothing else`,
    );
  }
  if (serverSideEncryption?.kmsKeyId) notes.push('the policy of the KMS key must allow the same');
  return notes.length === 0 ? null : notes.join('; ');
}
