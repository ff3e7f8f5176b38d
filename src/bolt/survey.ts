/** What somebody must know of the content before a cluster is made of it: whose it is, what expires, what else it needs. */
import type { Buckets } from './buckets.ts';
import { ProtobufReader, wire } from './protobuf.ts';
import type { RowDecoder } from './rows.ts';
import { encryptedStart, encryptionOf, protobufMark } from './value-form.ts';

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
/** As numbers, for every row is looked at. */
const [protobuf, encrypted] = [protobufMark.readUInt32BE(), encryptedStart.readUInt32BE()];

/** Looks at rows of bucket `key` as they go by. */
export class SurveyBuilder {
  readonly #encryptedWith = new Map<string, { provider: string; key: string; rows: number }>();
  #kubernetes = false;

  note(view: DataView, row: RowDecoder): void {
    if (!this.#kubernetes) this.#kubernetes = keyStarts.some((start) => beginsWith(view, row, start));
    if (row.valueLength < 8) return;
    const mark = view.getUint32(row.valueStart);
    if (mark === protobuf) this.#kubernetes = true;
    if (mark === encrypted) this.#noteEncrypted(view, row);
  }

  #noteEncrypted(view: DataView, { valueStart, valueLength }: RowDecoder): void {
    const found = encryptionOf(Buffer.from(view.buffer, view.byteOffset + valueStart, valueLength));
    if (found === null) return;
    this.#kubernetes = true;
    const { provider, version, keyName } = found;
    const id = `${provider}:${version}:${keyName}`;
    const known = this.#encryptedWith.get(id);
    if (known !== undefined) known.rows += 1;
    else if (this.#encryptedWith.size < maxListed)
      this.#encryptedWith.set(id, { provider, key: keyName, rows: 1 });
  }

  /** @param buckets to read leases and users from; faults in them are told elsewhere */
  finish(buckets: Buckets): ContentSurvey {
    return {
      kubernetes: this.#kubernetes,
      encryptedWith: [...this.#encryptedWith.values()],
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
