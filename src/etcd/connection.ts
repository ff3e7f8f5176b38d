/** A connection to one member of an etcd cluster: signed in, verified, and never answered by another member. */
import { type Client, Metadata, type ServiceError } from '@grpc/grpc-js';
import { GranaryError } from '../model/errors.ts';
import {
  type Alarm,
  alarmsOf,
  type HashKV,
  hashKVOf,
  type Member,
  type MemberStatus,
  membersOf,
  statusOf,
} from './answers.ts';
import { openChannel } from './channel.ts';
import { duplexCall } from './duplex-call.ts';
import { brokenOff, etcdError, isAuthDisabled, isStaleToken, mayBeOtherScheme } from './errors.ts';
import { openSession, streamCall } from './http2-call.ts';
import * as protocol from './protocol.ts';
import { speaksOtherScheme } from './scheme.ts';
import { SnapshotFrames } from './snapshot-frames.ts';
import { type Endpoint, type EtcdAuth, type EtcdTarget, parseEndpoint } from './target.ts';
import { type MemberTls, memberTls } from './tls.ts';

/** Time for one answer. A call without a limit can wait for ever: etcd holds back one that carries a token of its future. */
const answerMs = 10_000;
/** HashKV reads the whole key space. */
const hashMs = 120_000;
export interface EtcdCallOptions {
  readonly signal: AbortSignal;
  /** Milliseconds for the answer; default 10 s. */
  readonly timeoutMs?: number | undefined;
}

export interface SnapshotOptions {
  readonly signal: AbortSignal;
  /** Milliseconds without a byte from etcd, while we wait for one, after which the snapshot fails as `stalled`. */
  readonly stallMs: number;
  /** Told once, with the first bytes: how large the database is, the 32 bytes of its hash not counted. */
  readonly onSize?: ((databaseBytes: number) => void) | undefined;
}

/**
 * Connects to one member, signs in where the target has a user, and asks for its status, so that a connection handed
 * out works.
 * @param endpoint one of the target's client URLs
 * @throws GranaryError `etcd-unreachable`, `etcd-auth`, `etcd-permission`, `etcd-tls`, `etcd-failed`; the signal's reason
 */
export async function connectMember(
  target: EtcdTarget,
  endpoint: string,
  { signal, timeoutMs }: EtcdCallOptions,
): Promise<MemberConnection> {
  signal.throwIfAborted();
  const connection = new MemberConnection(target, parseEndpoint(endpoint));
  try {
    await connection.status({ signal, timeoutMs });
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

export class MemberConnection implements Disposable {
  readonly target: EtcdTarget;
  readonly #endpoint: Endpoint;
  readonly #tls: MemberTls | null;
  readonly #client: Client;
  /** Who answered first. */
  #memberId: string | null = null;
  /** The sign-in under way or done; it gives null where etcd has authentication off. */
  #signIn: Promise<string | null> | undefined;
  /** What the last sign-in gave. */
  #token: string | null = null;

  /** Connects on the first call; use `connectMember`. */
  constructor(target: EtcdTarget, endpoint: Endpoint) {
    this.target = target;
    this.#endpoint = endpoint;
    this.#tls = endpoint.secure ? memberTls(target, endpoint) : null;
    this.#client = openChannel(endpoint, this.#tls);
  }

  /** Client URL. */
  get endpoint(): string {
    return this.#endpoint.url;
  }

  /** The member's own view of itself and the cluster. Works without a majority. */
  async status(options: EtcdCallOptions): Promise<MemberStatus> {
    return statusOf(await this.call(protocol.status, {}, 'read the status', options));
  }

  /**
   * The member's hash of all keys and values at a revision (0: the newest), and of what compaction left of its past.
   * @throws GranaryError `revision-compacted`; `etcd-failed` for a revision that the member has not got yet, and on a learner
   */
  async hashKV(revision: number, { signal, timeoutMs = hashMs }: EtcdCallOptions): Promise<HashKV> {
    const request = { revision: String(revision) };
    return hashKVOf(
      await this.call(protocol.hashKV, request, 'read HashKV', { signal, timeoutMs }),
      revision,
    );
  }

  /** The members as this one knows them. Works without a majority. */
  async memberList(options: EtcdCallOptions): Promise<Member[]> {
    return membersOf(
      await this.call(protocol.memberList, { linearizable: false }, 'list the members', options),
    );
  }

  /** Alarms of all members. Needs a majority; without one `status().errors` tells. */
  async alarms(options: EtcdCallOptions): Promise<Alarm[]> {
    return alarmsOf(await this.call(protocol.alarm, { action: 'GET' }, 'list the alarms', options));
  }

  /** Names of all users. Where authentication is on it takes the role root. */
  async users(options: EtcdCallOptions): Promise<readonly string[]> {
    return (await this.call(protocol.userList, {}, 'list the users', options)).users;
  }

  /** Whether etcd asks who somebody is: told by how it refuses a user that cannot be. Counts for it as a wrong password. */
  async authEnabled(options: EtcdCallOptions): Promise<boolean> {
    const nobody = { name: `granary-${crypto.randomUUID()}`, password: crypto.randomUUID() };
    try {
      await this.#send(protocol.authenticate, nobody, null, options);
      return true;
    } catch (error) {
      options.signal.throwIfAborted();
      if (isAuthDisabled(error)) return false;
      const failure = await this.#failure(error, 'ask for a sign-in', options.signal);
      if (failure.code === 'etcd-auth') return true;
      throw failure;
    }
  }

  /**
   * The member's database, as etcd sends it: its pages, then the SHA-256 of them (32 bytes). The pieces come in order,
   * are never used again by us, and have whatever size they arrived in (about 9 KiB); at most 8 MiB wait for a slow
   * reader. It ends only when all announced bytes and the hash were there and etcd said that it was done. To leave it
   * early cancels it. It runs on a connection of its own.
   * @throws GranaryError `snapshot-truncated`, `stalled`, and what `connectMember` throws; the signal's reason
   */
  async *snapshot(options: SnapshotOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const { signal } = options;
    const frames = new SnapshotFrames();
    try {
      const session = await openSession(this.#endpoint, this.#tls, options);
      try {
        await this.#requireSameMember(session, options);
        const { stream, first } = await this.#withToken(signal, async (token) => {
          const begun = streamCall(session, protocol.snapshotPath, new Uint8Array(), token, options);
          return { stream: begun, first: await begun.next() };
        });
        try {
          for (let piece = first; !piece.done; piece = await stream.next()) {
            const announced = frames.databaseBytes !== null;
            const blobs = frames.push(piece.value);
            if (!announced && frames.databaseBytes !== null) options.onSize?.(frames.databaseBytes);
            yield* blobs;
          }
        } finally {
          await stream.return();
        }
        frames.end();
      } finally {
        session.destroy();
      }
    } catch (error) {
      signal.throwIfAborted();
      const failure = await this.#failure(error, 'read a snapshot', signal);
      throw frames.received > 0 ? brokenOff(failure, this.endpoint, frames.received) : failure;
    }
  }

  /**
   * One call with one answer. For the calls that have no method here (`kv.ts`).
   * @param action what it does, to follow "could not" in an error
   */
  async call<Request, Response extends protocol.Answer>(
    method: protocol.Method<Request, Response>,
    request: Request,
    action: string,
    options: EtcdCallOptions,
  ): Promise<Response> {
    const { signal } = options;
    try {
      return await this.#withToken(signal, async (token) => {
        const answer = await this.#send(method, request, token, options);
        this.#requireMember(answer.header);
        return answer;
      });
    } catch (error) {
      signal.throwIfAborted();
      throw await this.#failure(error, action, signal);
    }
  }

  /**
   * One request, and all its answers as they come. To leave it early cancels it.
   * @param options.timeoutMs for all of it; null: it may go on for ever
   */
  async *converse<Request, Response extends protocol.Answer>(
    method: protocol.Method<Request, Response>,
    request: Request,
    action: string,
    { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs?: number | null | undefined },
  ): AsyncGenerator<Response, void, undefined> {
    const limitMs = timeoutMs === undefined ? answerMs : timeoutMs;
    try {
      const { answers, first } = await this.#withToken(signal, async (token) => {
        const begun = duplexCall(this.#client, method, request, token, { signal, limitMs });
        return { answers: begun, first: await begun.next() };
      });
      try {
        for (let answer = first; !answer.done; answer = await answers.next()) {
          this.#requireMember(answer.value.header);
          yield answer.value;
        }
      } finally {
        await answers.return();
      }
    } catch (error) {
      signal.throwIfAborted();
      throw await this.#failure(error, action, signal);
    }
  }

  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #failure(error: unknown, action: string, signal: AbortSignal): Promise<GranaryError> {
    const otherScheme = mayBeOtherScheme(error) && (await speaksOtherScheme(this.#endpoint, signal));
    return etcdError(error, { target: this.target, endpoint: this.endpoint, action, otherScheme });
  }

  /** Runs an attempt with the token, and once more with a new one where etcd does not take that. */
  async #withToken<T>(signal: AbortSignal, attempt: (token: string | null) => Promise<T>): Promise<T> {
    const token = await this.#signedIn(signal);
    try {
      return await attempt(token);
    } catch (error) {
      if (this.target.auth === null || !isStaleToken(error)) throw error;
      // Unless another call has signed in anew since.
      if (this.#token === token) this.#signIn = undefined;
      return await attempt(await this.#signedIn(signal));
    }
  }

  /** The token to send, once signed in; null: none. Calls that come together sign in once. */
  async #signedIn(signal: AbortSignal): Promise<string | null> {
    const { auth } = this.target;
    if (auth === null) return null;
    const signIn = this.#signIn ?? this.#authenticate(auth);
    this.#signIn = signIn;
    try {
      this.#token = await untilAborted(signIn, signal);
      return this.#token;
    } catch (error) {
      if (!signal.aborted && this.#signIn === signIn) this.#signIn = undefined;
      throw error;
    }
  }

  /** Not cancelled with the call that began it, as others may wait for the same token. */
  async #authenticate({ username, password }: EtcdAuth): Promise<string | null> {
    const request = { name: username, password: password.reveal() };
    try {
      const { signal } = new AbortController();
      return (await this.#send(protocol.authenticate, request, null, { signal })).token;
    } catch (error) {
      if (isAuthDisabled(error)) return null;
      throw await this.#failure(error, 'sign in', new AbortController().signal);
    }
  }

  #send<Request, Response>(
    method: protocol.Method<Request, Response>,
    request: Request,
    token: string | null,
    { signal, timeoutMs = answerMs }: EtcdCallOptions,
  ): Promise<Response> {
    signal.throwIfAborted();
    const metadata = new Metadata();
    if (token !== null) metadata.set('token', token);
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        method.path,
        (value: Request) => method.encode(value),
        (bytes: Buffer) => method.decode(bytes),
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error: ServiceError | null, answer?: Response) => {
          signal.removeEventListener('abort', onAbort);
          if (signal.aborted) reject(signal.reason);
          else if (error !== null) reject(error);
          else resolve(answer as Response);
        },
      );
      const onAbort = () => call.cancel();
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /**
   * A snapshot does not say whose it is. So the status is asked for on its own connection: behind a load balancer, or a
   * name with several addresses, that may be another member than the one whose hash the snapshot is compared with.
   */
  async #requireSameMember(
    session: Parameters<typeof streamCall>[0],
    options: SnapshotOptions,
  ): Promise<void> {
    const request = protocol.status.encode({});
    const framingBytes = 5;
    const answer = await this.#withToken(options.signal, async (token) => {
      const parts: Uint8Array[] = [];
      for await (const part of streamCall(session, protocol.status.path, request, token, options))
        parts.push(part);
      return protocol.status.decode(Buffer.concat(parts).subarray(framingBytes));
    });
    this.#requireMember(answer.header);
  }

  #requireMember(header: protocol.Header | null): void {
    if (header === null || header.memberId === '0') return;
    const id = protocol.idText(header.memberId);
    this.#memberId ??= id;
    if (this.#memberId === id) return;
    throw new GranaryError(
      'etcd-failed',
      `${this.endpoint} is answered by more than one member: by ${this.#memberId}, then by ${id}`,
      {
        hint: 'a load balancer? Name each member’s own client URL as an endpoint',
        context: { endpoint: this.endpoint },
      },
    );
  }
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
