/** Members as etcd writes them in JSON: into the database, the WAL and the old store within a raft snapshot. */
import type { Member } from './membership.ts';

/** `{"id":…,"peerURLs":[…],"name":"m1"}`. The id is too large for a number of JavaScript, and etcd reads it as one. */
export function memberJson({ id, name, peerUrls }: Member): string {
  const urls = goJson(peerUrls);
  return `{"id":${id},"peerURLs":${urls}${name === '' ? '' : `,"name":${goJson(name)}`}}`;
}

/** `{"peerURLs":[…]}`. */
export function raftAttributesJson({ peerUrls }: Member): string {
  return goJson({ peerURLs: peerUrls });
}

/** As Go's `encoding/json` writes it, so that files can be compared byte for byte: it also escapes what HTML would. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
