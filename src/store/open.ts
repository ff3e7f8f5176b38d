/** The one place that joins a driver and what is wrapped around it. */
import type { Destination, S3Destination } from '../model/config.ts';
import type { Secret } from '../secrets/secret.ts';
import { openFilesystemStore } from './drivers/filesystem.ts';
import type { S3Location } from './drivers/s3-session.ts';
import type { RequestGuard } from './guard.ts';
import type { Store } from './store.ts';
import { withoutConditions } from './wrap/conditions.ts';
import { withLimit } from './wrap/limit.ts';
import { type OperationRecord, withObserver } from './wrap/observe.ts';
import { defaultRetryPolicy, type RetryPolicy, retrying, withRetry } from './wrap/retry.ts';
import { stalling, withStallLimit } from './wrap/stall.ts';

export interface OpenOptions {
  /** How long no byte may move before a request is given up. Default: 60 s. */
  readonly stallMs?: number | undefined;
  readonly retry?: Partial<RetryPolicy> | undefined;
  /** Calls at a time. Default: 16. */
  readonly maxOperations?: number | undefined;
  /** Uploads at a time, each of which has up to four requests under way. Default: 2. */
  readonly maxUploads?: number | undefined;
  /** False: a probe found that the store does not keep conditions, so none are sent. Default: it keeps them. */
  readonly conditionalWrites?: boolean | undefined;
  /** Hears of each call that has ended. */
  readonly onOperation?: ((record: OperationRecord) => void) | undefined;
  /** Hears of each HTTP request, repeated ones too. */
  readonly onRequest?: (() => void) | undefined;
  /** Who the session of an assumed role is told to be: `granary-eu-west`. Default: `granary-agent`. */
  readonly sessionName?: string | undefined;
  /** Make a filesystem's root folder where it is missing. Default: that is an error. */
  readonly create?: boolean | undefined;
}

/**
 * Opens the store of a destination. `credential` holds its decrypted data; null: the SDK of the provider finds
 * credentials in its usual places (environment, profile, identity of the machine). Nothing is contacted yet, but a filesystem's root
 * folder must exist. Throws `store-misconfigured`, `invalid-credentials` or `bucket-missing`.
 */
export async function openStore(
  destination: Destination,
  credential: ReadonlyMap<string, Secret> | null,
  options: OpenOptions = {},
): Promise<Store> {
  const stallMs = options.stallMs ?? 60_000;
  const policy = { ...defaultRetryPolicy, ...options.retry };
  const guard: RequestGuard = (signal, request) =>
    retrying(policy, signal, () => stalling(stallMs, signal, request));
  const limits = { operations: options.maxOperations ?? 16, uploads: options.maxUploads ?? 2 };

  const driver = await openDriver(destination, credential, guard, options);
  const kept = withRetry(withStallLimit(driver, stallMs), policy);
  const store = withLimit(options.conditionalWrites === false ? withoutConditions(kept) : kept, limits);
  return options.onOperation === undefined ? store : withObserver(store, options.onOperation);
}

/** What the driver must know of a destination. */
export function s3Location(
  destination: S3Destination,
  credential: ReadonlyMap<string, Secret> | null,
  { sessionName, onRequest = () => {} }: Pick<OpenOptions, 'sessionName' | 'onRequest'>,
): S3Location {
  const { bucket, prefix, region, endpoint, forcePathStyle, caCertificate } = destination;
  const { useInstanceRole, assumeRole, storageClass, serverSideEncryption, objectLock } = destination;
  return {
    ...{ bucket, prefix, region, endpoint, forcePathStyle, caCertificate },
    ...{ credential, useInstanceRole, assumeRole, sessionName },
    ...{ storageClass, serverSideEncryption, objectLock, onRequest },
  };
}

async function openDriver(
  destination: Destination,
  credential: ReadonlyMap<string, Secret> | null,
  guard: RequestGuard,
  options: OpenOptions,
): Promise<Store> {
  switch (destination.provider) {
    case 'filesystem':
      return openFilesystemStore({ path: destination.path, create: options.create, guard });
    case 's3': {
      // The SDK takes a while to load: only those wait for it who need it.
      const { openS3Store } = await import('./drivers/s3.ts');
      return openS3Store({ ...s3Location(destination, credential, options), guard });
    }
    case 'gcs': {
      const { openGcsStore } = await import('./drivers/gcs.ts');
      const { bucket, prefix, endpoint, storageClass, useInstanceRole } = destination;
      return openGcsStore({
        ...{ bucket, prefix, endpoint, storageClass, useInstanceRole, credential, guard },
        onRequest: options.onRequest ?? (() => {}),
      });
    }
    case 'azure': {
      const { openAzureStore } = await import('./drivers/azure.ts');
      const { container, prefix, storageAccount, cloudName, endpoint, caCertificate } = destination;
      const { tenantId, clientId, useInstanceRole } = destination;
      return openAzureStore({
        ...{ container, prefix, storageAccount, cloudName, endpoint, caCertificate },
        ...{ tenantId, clientId, useInstanceRole, credential, guard },
        onRequest: options.onRequest ?? (() => {}),
      });
    }
  }
}
