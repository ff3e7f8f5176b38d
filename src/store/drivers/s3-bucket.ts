/** Settings of a bucket that bear on backups in it. */
import {
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  type LifecycleRule,
} from '@aws-sdk/client-s3';
import { isGranaryError } from '../../model/errors.ts';
import type { Known, LifecycleEffect, LockFacts, PlaceFacts } from '../facts.ts';
import type { CallOptions } from '../store.ts';
import type { S3Action } from './s3-errors.ts';
import { type S3Location, S3Session } from './s3-session.ts';
import { frozenClasses } from './s3-settings.ts';

/** How the names of all objects of ours begin (design section 3). */
const roots = ['clusters/', 'seeds/', 'granary.json'];

export async function readBucketFacts(location: S3Location, { signal }: CallOptions): Promise<PlaceFacts> {
  const session = new S3Session(location);
  const Bucket = location.bucket;
  try {
    const versioning = await known('s3:GetBucketVersioning', async (action) => {
      const { output } = await session.run(action, null, { signal }, (client, http) =>
        client.send(new GetBucketVersioningCommand({ Bucket }), http),
      );
      return output.Status === 'Enabled' ? 'on' : output.Status === 'Suspended' ? 'suspended' : 'off';
    });
    const lock = await known('s3:GetBucketObjectLockConfiguration', (action) =>
      orNull('ObjectLockConfigurationNotFoundError', async (): Promise<LockFacts | null> => {
        const { output } = await session.run(action, null, { signal }, (client, http) =>
          client.send(new GetObjectLockConfigurationCommand({ Bucket }), http),
        );
        const { ObjectLockEnabled, Rule } = output.ObjectLockConfiguration ?? {};
        if (ObjectLockEnabled !== 'Enabled') return null;
        const { Mode, Days, Years } = Rule?.DefaultRetention ?? {};
        const days = Days ?? (Years === undefined ? 0 : Years * 365);
        return { usual: days === 0 ? null : { mode: (Mode ?? '').toLowerCase(), days } };
      }),
    );
    const lifecycle = await known('s3:GetLifecycleConfiguration', async (action) => {
      const rules = await orNull('NoSuchLifecycleConfiguration', async () => {
        const { output } = await session.run(action, null, { signal }, (client, http) =>
          client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }), http),
        );
        return output.Rules ?? [];
      });
      return lifecycleEffects(rules ?? [], session.prefix);
    });
    return { versioning, lock, lifecycle };
  } finally {
    session.client.destroy();
  }
}

/** What rules do to objects below a prefix, which is empty or ends in a slash. */
export function lifecycleEffects(rules: readonly LifecycleRule[], prefix: string): LifecycleEffect[] {
  return rules.filter((rule) => touches(rule, prefix)).flatMap(effectsOf);
}

function touches({ Status, Filter, Prefix }: LifecycleRule, prefix: string): boolean {
  if (Status !== 'Enabled') return false;
  // Our objects have no tags.
  if (Filter?.Tag !== undefined || (Filter?.And?.Tags ?? []).length > 0) return false;
  const begin = Filter?.Prefix ?? Filter?.And?.Prefix ?? Prefix ?? '';
  return roots.map((root) => prefix + root).some((root) => root.startsWith(begin) || begin.startsWith(root));
}

function effectsOf(rule: LifecycleRule): LifecycleEffect[] {
  const name = rule.ID ?? 'without a name';
  const effects: LifecycleEffect[] = [];
  const { Days, Date: date } = rule.Expiration ?? {};
  if (Days !== undefined || date !== undefined) {
    effects.push({ rule: name, effect: 'expires', days: Days ?? null });
  }
  for (const { StorageClass, Days: days = null } of rule.Transitions ?? []) {
    if (frozenClasses.includes(StorageClass ?? '')) effects.push({ rule: name, effect: 'freezes', days });
  }
  const { NoncurrentDays } = rule.NoncurrentVersionExpiration ?? {};
  if (NoncurrentDays !== undefined) effects.push({ rule: name, effect: 'clears', days: NoncurrentDays });
  return effects;
}

async function known<T>(action: S3Action, read: (action: S3Action) => Promise<T>): Promise<Known<T>> {
  try {
    return { value: await read(action) };
  } catch (error) {
    if (isGranaryError(error, 'access-denied')) return { unknown: `this key may not ask (${action})` };
    // A store that lacks the question answers in many ways.
    const status = isGranaryError(error) ? error.context.status : null;
    const isOther = isGranaryError(error, 'store-misconfigured', 'store-failed', 'object-missing');
    if (isOther && status !== null) return { unknown: 'the store does not answer that' };
    throw error;
  }
}

/** null where the store answers that there is no such setting. */
async function orNull<T>(reason: string, read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (isGranaryError(error) && error.context.reason === reason) return null;
    throw error;
  }
}
