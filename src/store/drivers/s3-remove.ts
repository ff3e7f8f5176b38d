/**
 * Removes objects, from buckets that keep versions too. There, a plain DELETE only hides an object behind a marker:
 * its bytes stay and are paid for. So versions are removed by their ids, the current one last: until then it is seen
 * as it was, and no older one ever comes to light in its place.
 *
 * `ifMatch` holds to the letter where there are versions, for a version has one content for ever, and where the server
 * knows If-Match of removals, as Amazon does. Others do not look at it: so the object is looked at right before.
 */
import {
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
} from '@aws-sdk/client-s3';
import { GranaryError, isGranaryError } from '../../model/errors.ts';
import { refusesConditions } from '../refusals.ts';
import type { CallOptions, DeleteOptions, ObjectInfo } from '../store.ts';
import type { S3Session } from './s3-session.ts';

interface Version {
  readonly id: string;
  readonly isLatest: boolean;
  readonly isMarker: boolean;
  readonly etag: string | undefined;
}

interface Current {
  /** undefined: the bucket keeps no versions. */
  readonly versionId: string | undefined;
  readonly lockedUntil: Date | undefined;
  readonly isHeld: boolean;
}

export class S3Remover {
  readonly #session: S3Session;
  readonly #head: (key: string, options: CallOptions) => Promise<ObjectInfo | null>;
  /** Whether the bucket keeps versions; null: not known yet. */
  #keepsVersions: boolean | null = null;

  /** @param head as `Store.head` */
  constructor(session: S3Session, head: (key: string, options: CallOptions) => Promise<ObjectInfo | null>) {
    this.#session = session;
    this.#head = head;
  }

  /** As `Store.delete`. One request where the bucket is known to keep no versions. */
  async remove(key: string, options: DeleteOptions): Promise<void> {
    if (options.ifMatch !== undefined) {
      const current = await this.#head(key, options);
      if (current === null) return;
      requireMatch(key, current.etag, options);
    }
    if (this.#keepsVersions === null) {
      const current = await this.#current(key, options);
      if (current !== null) this.#keepsVersions = current.versionId !== undefined;
      // To delete what is not there would leave a marker where versions are kept.
      else if (await this.#isMissing(key, options)) return;
    }
    // A bucket may be told to keep versions at any time: the marker that a plain DELETE leaves there tells.
    if (this.#keepsVersions !== true && !(await this.#delete(key, undefined, options))) return;
    this.#keepsVersions = true;
    await this.#removeVersions(key, options);
  }

  /** False where it may not be looked at: then the removal itself tells what is the matter. */
  async #isMissing(key: string, options: CallOptions): Promise<boolean> {
    try {
      return (await this.#head(key, options)) === null;
    } catch (error) {
      if (isGranaryError(error, 'access-denied')) return false;
      throw error;
    }
  }

  async #removeVersions(key: string, options: DeleteOptions): Promise<void> {
    let versions: Version[];
    try {
      versions = await this.#versions(key, options);
    } catch (error) {
      if (!isGranaryError(error, 'access-denied', 'store-misconfigured')) throw error;
      return this.#hide(key, options);
    }
    const latest = versions.find(({ isLatest }) => isLatest);
    if (latest === undefined) return;
    if (!latest.isMarker) requireMatch(key, latest.etag, options);
    let left = 0;
    for (const { id } of versions.filter((one) => one !== latest).toReversed()) {
      if (!(await this.#removed(key, id, options))) left += 1;
    }
    if (latest.isMarker) {
      if (left === 0) await this.#removed(key, latest.id, options);
      return;
    }
    // An older version that is locked would come to light: a marker keeps it out of sight.
    if (left > 0) return this.#hide(key, options);
    if (!(await this.#removed(key, latest.id, options))) await this.#hide(key, options);
  }

  /** Out of sight, where it may not be removed, unless a lock holds it and the caller wants to know. */
  async #hide(key: string, options: DeleteOptions): Promise<void> {
    if (options.ifLocked === 'refuse') {
      const current = await this.#current(key, options);
      const isLocked = current?.isHeld === true || (current?.lockedUntil?.getTime() ?? 0) > Date.now();
      if (isLocked) throw locked(key, current?.lockedUntil);
      // Who may not read the lock cannot tell it from a missing right: backups then stay where they can be seen.
      const { objectLock } = this.#session.settings;
      if (current !== null && current.lockedUntil === undefined && objectLock) throw locked(key, undefined);
    }
    await this.#delete(key, undefined, options);
  }

  /** False where a lock or a missing right keeps it. */
  async #removed(key: string, versionId: string, options: CallOptions): Promise<boolean> {
    try {
      await this.#delete(key, versionId, options);
      return true;
    } catch (error) {
      if (isGranaryError(error, 'access-denied') || isLockRefusal(error)) return false;
      throw error;
    }
  }

  /** True where it left a marker. `ifMatch` counts where no version is named. */
  async #delete(key: string, versionId: string | undefined, options: DeleteOptions): Promise<boolean> {
    if (versionId !== undefined || options.ifMatch === undefined)
      return this.#ask(key, versionId, undefined, options);
    try {
      return await this.#ask(key, undefined, options.ifMatch, options);
    } catch (error) {
      // Not known there: it was looked at right before.
      if (refusesConditions(error)) return this.#ask(key, undefined, undefined, options);
      if (!isGranaryError(error, 'precondition-failed') || (await this.#head(key, options)) !== null)
        throw error;
      return false;
    }
  }

  async #ask(
    key: string,
    versionId: string | undefined,
    ifMatch: string | undefined,
    options: CallOptions,
  ): Promise<boolean> {
    const action = versionId === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion';
    try {
      const { output, hasBody } = await this.#session.run(action, key, options, (client, http) =>
        client.send(
          new DeleteObjectCommand({
            ...this.#session.object(key),
            ...(versionId !== undefined && { VersionId: versionId }),
            ...(ifMatch !== undefined && { IfMatch: ifMatch }),
          }),
          http,
        ),
      );
      // S3 has nothing to say to a removal. Whoever does is a proxy, or reports a failure in a 200.
      if (hasBody) throw this.#session.notS3('a removal', key);
      return versionId === undefined && output.DeleteMarker === true;
    } catch (error) {
      // Some servers say 404 where S3 says 204.
      if (isGranaryError(error, 'object-missing')) return false;
      throw error;
    }
  }

  /** null: nothing is there, or it is not told, for an answer to HEAD has no body. */
  async #current(key: string, options: CallOptions): Promise<Current | null> {
    try {
      const { output } = await this.#session.run('s3:GetObject', key, options, (client, http) =>
        client.send(new HeadObjectCommand(this.#session.object(key)), http),
      );
      return {
        versionId: output.VersionId,
        lockedUntil: output.ObjectLockRetainUntilDate,
        isHeld: output.ObjectLockLegalHoldStatus === 'ON',
      };
    } catch (error) {
      const status = isGranaryError(error) ? error.context.status : null;
      if (typeof status === 'number' && status >= 300 && status < 429) return null;
      throw error;
    }
  }

  /** All versions and markers of one key, the newest first. */
  async #versions(key: string, options: CallOptions): Promise<Version[]> {
    const { Bucket, Key } = this.#session.object(key);
    const found: (Version & { readonly modified: number })[] = [];
    let from: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } | null = {};
    while (from !== null) {
      const input: ConstructorParameters<typeof ListObjectVersionsCommand>[0] = {
        Bucket,
        Prefix: Key,
        ...from,
      };
      const { output } = await this.#session.run<ListObjectVersionsCommandOutput>(
        's3:ListBucketVersions',
        key,
        options,
        (client, http) => client.send(new ListObjectVersionsCommand(input), http),
      );
      // Anything else that is XML reads as a listing with nothing in it, which must never be believed.
      if (output.IsTruncated === undefined) throw this.#session.notS3('a listing of versions', key);
      const markers = (output.DeleteMarkers ?? []).map((one) => ({
        ...one,
        ETag: undefined,
        isMarker: true,
      }));
      const page = [...(output.Versions ?? []).map((one) => ({ ...one, isMarker: false })), ...markers];
      for (const { Key: name, VersionId: id, IsLatest, LastModified, isMarker, ETag: etag } of page) {
        if (name !== Key || id === undefined) continue;
        const modified = LastModified?.getTime() ?? 0;
        found.push({ id, isLatest: IsLatest === true, isMarker, etag, modified });
      }
      // Keys come in order: behind the first other one there are no more of this.
      const isPast = page.some(({ Key: name }) => name !== undefined && name !== Key);
      const { IsTruncated, NextKeyMarker: KeyMarker, NextVersionIdMarker: VersionIdMarker } = output;
      from = IsTruncated === true && !isPast ? { KeyMarker, VersionIdMarker } : null;
    }
    return found.toSorted((a, b) => b.modified - a.modified);
  }
}

function requireMatch(key: string, etag: string | undefined, { ifMatch }: DeleteOptions): void {
  if (ifMatch === undefined || etag === ifMatch) return;
  throw new GranaryError(
    'precondition-failed',
    `${key} is not what was to be removed: somebody wrote it anew`,
    {
      hint: 'read what is there',
    },
  );
}

/** MinIO refuses to remove a locked version as an invalid request; others say AccessDenied. */
function isLockRefusal(error: unknown): boolean {
  return isGranaryError(error) && /\bWORM\b|object lock/i.test(error.message);
}

function locked(key: string, until: Date | undefined): GranaryError {
  const date = until?.toISOString().replace(/\.\d+Z$/, 'Z') ?? null;
  return new GranaryError(
    'object-locked',
    `${key} is locked against removal ${date === null ? 'until its retention ends' : `until ${date}`}`,
    {
      hint: 'nothing is wrong: a pass after that removes it',
      context: { key, until: date },
    },
  );
}
