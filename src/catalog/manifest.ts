/**
 * The manifest: a backup's record and its commit point (`schemas/manifest.schema.json`, format 1).
 *
 * Equal content always gives the same bytes, so that copies of a backup can be compared and repaired byte for byte.
 */
import type { Manifest } from '../model/generated/manifest.ts';
import type { ObjectKey } from '../model/names.ts';
import { type DocumentKind, decodeDocument, requireValid, unreadable } from './document.ts';
import { parseDataName, parseKey } from './keys.ts';

export const manifestKind: DocumentKind = {
  schema: 'manifest',
  formatField: 'format',
  format: 1,
  code: 'manifest-invalid',
  hint: 'nothing is restored from or removed for a manifest that cannot be trusted; `granary verify --repair` copies a sound one over it',
  limit: 256 * 1024,
};

/**
 * The bytes of a manifest: JSON in the order of the schema, two blanks of indentation, a line end.
 * @throws GranaryError `manifest-invalid` where a value does not fit the schema, so that none is ever written
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const where = `${manifest.seed}/${manifest.cluster}/${manifest.policy}/${manifest.slot}`;
  requireValid(manifest, manifestKind, where);
  requireConsistent(manifest, where);
  const bytes = new TextEncoder().encode(`${JSON.stringify(inOrder(manifest), null, 2)}\n`);
  if (bytes.length > manifestKind.limit) throw unreadable(manifestKind, where, 'it is too large');
  return bytes;
}

/**
 * Reads a manifest and makes sure that it belongs where it was found: one that was copied or renamed from another
 * cluster, policy or slot is refused, for whoever restored by it would restore something else.
 * @param key where it was found, below the destination's prefix
 * @throws GranaryError `format-too-new`, `manifest-invalid`
 */
export function decodeManifest(bytes: Uint8Array, key: ObjectKey): Manifest {
  // The schema is the type: src/model/generated/manifest.ts is made of it.
  const manifest = decodeDocument(bytes, manifestKind, key) as Manifest;
  requireConsistent(manifest, key);
  requirePlace(manifest, key);
  return manifest;
}

/** What the schema cannot say about fields that depend on one another. */
function requireConsistent(manifest: Manifest, where: string): void {
  const { data, hashKV } = manifest;
  const named = parseDataName(data.name);
  const fault =
    named?.attempt !== manifest.attempt
      ? `its data ${data.name} are of another attempt than ${manifest.attempt}`
      : named.compression !== data.compression || named.encrypted !== data.recipients.length > 0
        ? `the name ${data.name} does not say how the data are compressed and encrypted`
        : hashKV.verdict === 'equal' && (hashKV.hash === null || hashKV.revision === null)
          ? 'its verdict is `equal` but there is no hash'
          : [manifest.startedAt, manifest.finishedAt].some((time) => Number.isNaN(Date.parse(time)))
            ? 'its times are not times'
            : null;
  if (fault !== null) throw unreadable(manifestKind, where, fault);
}

function requirePlace(manifest: Manifest, key: ObjectKey): void {
  const place = parseKey(key);
  if (place.type !== 'manifest') throw unreadable(manifestKind, key, 'this is no place for a manifest');
  const expected = { ...place, attempt: place.attempt ?? manifest.attempt };
  for (const field of ['seed', 'cluster', 'policy', 'slot', 'attempt'] as const) {
    if (manifest[field] === expected[field]) continue;
    const problem = `it says ${field} ${manifest[field]}; it was moved or copied here from elsewhere`;
    throw unreadable(manifestKind, key, problem);
  }
}

/** The same manifest with its fields in the order of the schema. The types make sure that none is left out. */
function inOrder(manifest: Manifest): Manifest {
  const { etcd, snapshot, hashKV, data } = manifest;
  return {
    format: manifest.format,
    seed: manifest.seed,
    cluster: manifest.cluster,
    policy: manifest.policy,
    slot: manifest.slot,
    attempt: manifest.attempt,
    destinations: manifest.destinations,
    startedAt: manifest.startedAt,
    finishedAt: manifest.finishedAt,
    agentVersion: manifest.agentVersion,
    commit: manifest.commit,
    etcd: {
      version: etcd.version,
      clusterId: etcd.clusterId,
      memberId: etcd.memberId,
      revision: etcd.revision,
      compactRevision: etcd.compactRevision,
      sizeInUse: etcd.sizeInUse,
      keys: etcd.keys,
      leases: etcd.leases,
    },
    snapshot: { size: snapshot.size, sha256: snapshot.sha256, pageSize: snapshot.pageSize },
    hashKV: {
      hash: hashKV.hash,
      revision: hashKV.revision,
      compactRevision: hashKV.compactRevision,
      verdict: hashKV.verdict,
      others: hashKV.others.map(({ memberId, hash, revision, compactRevision }) => ({
        memberId,
        hash,
        revision,
        compactRevision,
      })),
    },
    data: {
      name: data.name,
      storedBytes: data.storedBytes,
      sha256: data.sha256,
      crc32c: data.crc32c,
      compression: data.compression,
      recipients: data.recipients,
    },
    regression: manifest.regression.map(({ kind, before, after }) => ({ kind, before, after })),
  };
}
