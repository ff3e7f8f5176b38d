/** etcd's answers in our words: ids as etcd's tools print them, numbers as numbers. */
import { GranaryError } from '../model/errors.ts';
import {
  type AlarmName,
  type alarm,
  type hashKV,
  type Int64,
  idText,
  type Method,
  type memberList,
  type status,
} from './protocol.ts';

type AnswerOf<M> = M extends Method<never, infer Response> ? Response : never;

export interface MemberStatus {
  /** Hexadecimal, as `etcdctl` prints it; so are all ids here. */
  readonly memberId: string;
  readonly clusterId: string;
  /** `3.5.33`. */
  readonly version: string;
  /** Bytes of the database file. */
  readonly dbSize: number;
  /** Bytes of it in use. */
  readonly dbSizeInUse: number;
  /** The last entry of the log that is committed. */
  readonly raftIndex: number;
  /** The last entry of the log that is in this member's store. */
  readonly raftAppliedIndex: number;
  readonly raftTerm: number;
  /** null while this member knows no leader. */
  readonly leaderId: string | null;
  readonly isLearner: boolean;
  /** Alarms, and the lack of a leader, in etcd's words. */
  readonly errors: readonly string[];
  readonly revision: number;
  /** From 3.6 on. */
  readonly storageVersion: string | null;
}

export interface HashKV {
  /** Unsigned, 32 bits. */
  readonly hash: number;
  /** What the hash is for: what was asked, or the store's revision where that was 0. */
  readonly hashRevision: number;
  /** What the server compacted to when it computed the hash; -1 where it never did. */
  readonly compactRevision: number;
  /** The store's revision when it answered. */
  readonly revision: number;
  readonly memberId: string;
}

export interface Member {
  readonly id: string;
  /** Empty until it has started once. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export interface Alarm {
  readonly memberId: string;
  readonly alarm: AlarmName;
}

export function statusOf(answer: AnswerOf<typeof status>): MemberStatus {
  return {
    memberId: idText(answer.header?.memberId ?? '0'),
    clusterId: idText(answer.header?.clusterId ?? '0'),
    version: answer.version,
    dbSize: integer(answer.dbSize),
    dbSizeInUse: integer(answer.dbSizeInUse),
    raftIndex: integer(answer.raftIndex),
    raftAppliedIndex: integer(answer.raftAppliedIndex),
    raftTerm: integer(answer.raftTerm),
    leaderId: answer.leader === '0' ? null : idText(answer.leader),
    isLearner: answer.isLearner,
    errors: answer.errors,
    revision: integer(answer.header?.revision ?? '0'),
    storageVersion: answer.storageVersion === '' ? null : answer.storageVersion,
  };
}

/** @param asked the revision in the request: servers before 3.6 do not repeat it */
export function hashKVOf(answer: AnswerOf<typeof hashKV>, asked: number): HashKV {
  const revision = integer(answer.header?.revision ?? '0');
  return {
    hash: answer.hash,
    hashRevision: asked === 0 ? revision : asked,
    compactRevision: integer(answer.compactRevision),
    revision,
    memberId: idText(answer.header?.memberId ?? '0'),
  };
}

export function membersOf(answer: AnswerOf<typeof memberList>): Member[] {
  return answer.members.map(({ id, name, peerUrls, clientUrls, isLearner }) => ({
    id: idText(id),
    name,
    peerUrls,
    clientUrls,
    isLearner,
  }));
}

export function alarmsOf(answer: AnswerOf<typeof alarm>): Alarm[] {
  return answer.alarms.flatMap(({ memberId, alarm: name }) =>
    name === 'NONE' ? [] : [{ memberId: idText(memberId), alarm: name }],
  );
}

/**
 * A 64-bit integer as a number.
 * @throws GranaryError `etcd-failed` above 2^53, which no revision or index of a real cluster comes near
 */
export function integer(text: Int64): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new GranaryError('etcd-failed', `etcd answered with the number ${text}, which is beyond 2^53`);
}
