/** What somebody must know of the content before a cluster is made of it: whose it is, what expires, what else it needs. */
import type { Buckets } from './buckets.ts';
import { ProtobufReader, wire } from './protobuf.ts';
import type { RowDecoder } from './rows.ts';

export interface ContentSurvey {
  /** Keys or values are of the form that Kubernetes gives them. */
  readonly kubernetes: boolean;
  /** Providers and keys that Kubernetes encrypted values with, at rest, and in how many rows. */
  readonly encryptedWith: readonly {
    readonly provider: string;
    readonly key: string;
    readonly rows: number;
  }[];
  readonly leases: LeaseSurvey;
  /** Names of the users that etcd knows, at most a hundred of them. */
  readonly users: readonly string[];
}

export interface LeaseSurvey {
  readonly total: number;
  /** Those that end within a minute of the start, unless a client renews them. */
  readonly withinMinute: number;
  /** Seconds; null where there is none. */
  readonly shortest: number | null;
}

const maxListed = 100;
/** `/registry/…`, and what OpenShift has instead. */
const keyStarts = ['/registry/', '/kubernetes.io/'].map((text) => Buffer.from(text));
/** Of values in protobuf: https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding */
const protobufMark = 0x6b38_7300;
/** Of `k8s:enc:`: https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/ */
const encryptedMark = 0x6b38_733a;
/** `k8s:enc:aescbc:v1:key1:`: names are short. */
const maxMarkBytes = 300;

/** Looks at rows of bucket `key` as they go by. */
export class SurveyBuilder {
  readonly #encryptedWith = new Map<string, number>();
  #kubernetes = false;

  note(view: DataView, row: RowDecoder): void {
    if (!this.#kubernetes) this.#kubernetes = keyStarts.some((start) => beginsWith(view, row, start));
    if (row.valueLength < 8) return;
    const mark = view.getUint32(row.valueStart);
    if (mark === protobufMark) this.#kubernetes = true;
    if (mark === encryptedMark) this.#noteEncrypted(view, row);
  }

  #noteEncrypted(view: DataView, { valueStart, valueLength }: RowDecoder): void {
    const length = Math.min(valueLength, maxMarkBytes);
    const text = Buffer.from(view.buffer, view.byteOffset + valueStart, length).toString('latin1');
    const mark = /^k8s:enc:([a-z0-9]{1,20}:v\d{1,2}:[\x21-\x39\x3b-\x7e]{1,200}):/.exec(text)?.[1];
    if (mark === undefined) return;
    this.#kubernetes = true;
    if (this.#encryptedWith.size < maxListed || this.#encryptedWith.has(mark))
      this.#encryptedWith.set(mark, (this.#encryptedWith.get(mark) ?? 0) + 1);
  }

  /** @param buckets to read leases and users from; faults in them are told elsewhere */
  finish(buckets: Buckets): ContentSurvey {
    const encryptedWith = [...this.#encryptedWith].map(([mark, rows]) => {
      const [provider = '', , key = ''] = mark.split(':');
      return { provider, key, rows };
    });
    return {
      kubernetes: this.#kubernetes,
      encryptedWith,
      leases: leasesIn(buckets),
      users: usersIn(buckets),
    };
  }
}

function beginsWith(view: DataView, { keyStart, keyLength }: RowDecoder, start: Uint8Array): boolean {
  if (keyLength < start.length) return false;
  return start.every((byte, index) => view.getUint8(keyStart + index) === byte);
}

/** `Lease{ID=1, TTL=2, RemainingTTL=3}`: where the rest is known, etcd goes on with that. */
function leasesIn(buckets: Buckets): LeaseSurvey {
  const message = new ProtobufReader();
  let total = 0;
  let withinMinute = 0;
  let shortest: number | null = null;
  buckets.walk('lease', {
    row(row) {
      let ttl = 0;
      let remaining = 0;
      message.open(row.view, row.valueStart, row.valueLength);
      while (message.next()) {
        if (message.type !== wire.varint) continue;
        if (message.field === 2) ttl = message.number;
        if (message.field === 3) remaining = message.number;
      }
      const seconds = remaining > 0 ? remaining : ttl;
      total += 1;
      if (seconds <= 60) withinMinute += 1;
      shortest = Math.min(shortest ?? seconds, seconds);
      return true;
    },
  });
  return { total, withinMinute, shortest };
}

function usersIn(buckets: Buckets): string[] {
  const users: string[] = [];
  buckets.walk('authUsers', {
    row(row) {
      const at = row.bytes.byteOffset + row.keyStart;
      users.push(Buffer.from(row.bytes.buffer, at, row.keyLength).toString());
      return users.length < maxListed;
    },
  });
  return users;
}
