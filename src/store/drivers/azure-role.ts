/** The least that an identity must be allowed for a destination in Azure Blob Storage, as a role of one's own. */

export interface AzureRolePlace {
  readonly storageAccount: string;
  readonly container: string;
  /** null: not in the configuration, where both are for people only. */
  readonly subscriptionId: string | null;
  readonly resourceGroup: string | null;
}

/** What `az role definition create --role-definition` reads. */
export interface AzureRole {
  readonly Name: string;
  readonly IsCustom: true;
  readonly Description: string;
  readonly Actions: readonly string[];
  readonly NotActions: readonly string[];
  readonly DataActions: readonly string[];
  readonly NotDataActions: readonly string[];
  readonly AssignableScopes: readonly string[];
}

const blobs = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs';

/**
 * Exactly what the driver asks for: blobs, listed (which is a `read`), read, made (`add/action` alone never replaces),
 * replaced and deleted. Nothing of the account or the container itself, so `Actions` is empty. Azure takes no container
 * as assignable scope of a role of one's own: that of the group is given, and the assignment narrows it.
 */
export function leastRole(place: AzureRolePlace): AzureRole {
  return {
    Name: `Granary ${place.storageAccount}/${place.container}`,
    IsCustom: true,
    Description: `Backups of etcd in container ${place.container} of ${place.storageAccount}`,
    Actions: [],
    NotActions: [],
    DataActions: ['read', 'write', 'add/action', 'delete'].map((verb) => `${blobs}/${verb}`),
    NotDataActions: [],
    AssignableScopes: [groupScope(place)],
  };
}

/** The scope of the assignment: this container and nothing beside it. */
export function containerScope(place: AzureRolePlace): string {
  const account = `providers/Microsoft.Storage/storageAccounts/${place.storageAccount}`;
  return `${groupScope(place)}/${account}/blobServices/default/containers/${place.container}`;
}

function groupScope({ subscriptionId, resourceGroup }: AzureRolePlace): string {
  return `/subscriptions/${subscriptionId ?? 'SUBSCRIPTION_ID'}/resourceGroups/${resourceGroup ?? 'RESOURCE_GROUP'}`;
}
