/** The gRPC methods of etcd that Granary calls, from `schemas/etcd/*.proto`, and what their messages look like here. */
import { fileURLToPath } from 'node:url';
import { loadSync, type MethodDefinition, type PackageDefinition } from '@grpc/proto-loader';

/** How to put a call on the wire and take its answer off it. */
export interface Method<Request, Response> {
  /** `/etcdserverpb.KV/Range`. */
  readonly path: string;
  encode(request: Request): Buffer;
  decode(bytes: Buffer): Response;
}

/** 64-bit integers come as decimal text, so that none loses digits. */
export type Int64 = string;

export interface Header {
  readonly clusterId: Int64;
  readonly memberId: Int64;
  readonly revision: Int64;
  readonly raftTerm: Int64;
}

/** What every answer to a single call has, but for servers that leave it out. */
export interface Answer {
  readonly header: Header | null;
}

/** From `src/etcd/` as from the built `dist/cli/` it is two levels up to the package's root. */
const protoFolder = fileURLToPath(new URL('../../schemas/etcd/', import.meta.url));
const protoFiles = ['maintenance.proto', 'cluster.proto', 'auth.proto', 'kv.proto', 'watch.proto'];
let loaded: PackageDefinition | undefined;

/** A method by service and name. The types are the caller's word: they must say what the proto file says. */
export function method<Request, Response>(service: string, name: string): Method<Request, Response> {
  // Loaded on first use: reading and compiling the files takes tens of milliseconds that most commands need not spend.
  const definition = (): MethodDefinition<object, object> => {
    loaded ??= loadSync(protoFiles, {
      includeDirs: [protoFolder],
      longs: String,
      enums: String,
      defaults: true,
      oneofs: true,
    });
    const methods = loaded[`etcdserverpb.${service}`] as Record<string, MethodDefinition<object, object>>;
    const found = methods?.[name];
    if (found === undefined) throw new Error(`schemas/etcd has no method ${service}.${name}`);
    return found;
  };
  return {
    path: `/etcdserverpb.${service}/${name}`,
    encode: (request) => definition().requestSerialize(request as object),
    decode: (bytes) => definition().responseDeserialize(bytes) as Response,
  };
}

export const authenticate = method<{ name: string; password: string }, Answer & { readonly token: string }>(
  'Auth',
  'Authenticate',
);

export const userList = method<Record<string, never>, Answer & { readonly users: readonly string[] }>(
  'Auth',
  'UserList',
);

export const status = method<
  Record<string, never>,
  Answer & {
    readonly version: string;
    readonly dbSize: Int64;
    readonly leader: Int64;
    readonly raftIndex: Int64;
    readonly raftTerm: Int64;
    readonly raftAppliedIndex: Int64;
    readonly errors: readonly string[];
    readonly dbSizeInUse: Int64;
    readonly isLearner: boolean;
    readonly storageVersion: string;
  }
>('Maintenance', 'Status');

export const hashKV = method<
  { revision: Int64 },
  Answer & { readonly hash: number; readonly compactRevision: Int64; readonly hashRevision: Int64 }
>('Maintenance', 'HashKV');

export type AlarmName = 'NOSPACE' | 'CORRUPT';

export const alarm = method<
  { action: 'GET' },
  Answer & { readonly alarms: readonly { readonly memberId: Int64; readonly alarm: AlarmName | 'NONE' }[] }
>('Maintenance', 'Alarm');

export const memberList = method<
  { linearizable: boolean },
  Answer & {
    readonly members: readonly {
      readonly id: Int64;
      readonly name: string;
      readonly peerUrls: readonly string[];
      readonly clientUrls: readonly string[];
      readonly isLearner: boolean;
    }[];
  }
>('Cluster', 'MemberList');

/** Only its path is used: its answers are taken apart as they arrive, see `snapshot-frames.ts`. */
export const snapshotPath = '/etcdserverpb.Maintenance/Snapshot';

/** An id as etcd's own tools print it: hexadecimal, lower case, not padded. */
export function idText(id: Int64): string {
  return BigInt(id).toString(16);
}
