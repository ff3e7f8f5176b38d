/** What etcd's small buckets say (reference "etcd's buckets"), for 3.4, 3.5 and 3.6. */
import type { Buckets } from './buckets.ts';
import { u64be } from './layout.ts';
import type { Row } from './leaf.ts';
import type { ProblemList } from './problems.ts';
import { ProtobufReader, wire } from './protobuf.ts';
import type { DatabaseAlarm, DatabaseFacts, DatabaseMember } from './report.ts';
import { readRevisionKey } from './rows.ts';

/** More than a cluster can have: a hostile file must not fill the memory. */
const maxListed = 1000;
const maxTextBytes = 64 * 1024;
const alarmNames = ['NONE', 'NOSPACE', 'CORRUPT'];

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Facts of a file that says nothing. */
export function noFacts(): Mutable<DatabaseFacts> {
  return {
    compactRevision: -1,
    finishedCompactRevision: -1,
    consistentIndex: null,
    term: null,
    storageVersion: null,
    clusterVersion: null,
    authEnabled: false,
    leases: 0,
    alarms: [],
    members: [],
  };
}

/** The current revision, as etcd takes it from its database when it starts. */
export function currentRevision(lastRow: number, facts: DatabaseFacts): number {
  return Math.max(lastRow, facts.compactRevision, 1);
}

/** Reads bucket `meta` alone: compactions, index, term, storage version. */
export function readMetaBucket(buckets: Buckets, problems: ProblemList): Mutable<DatabaseFacts> {
  const facts = noFacts();
  buckets.walk('meta', {
    row(row) {
      switch (text(row, row.keyStart, row.keyLength)) {
        case 'finishedCompactRev':
          facts.finishedCompactRevision = revision(row, problems) ?? -1;
          break;
        case 'scheduledCompactRev':
          facts.compactRevision = revision(row, problems) ?? -1;
          break;
        case 'consistent_index':
          facts.consistentIndex = counter(row, problems);
          break;
        case 'term':
          facts.term = counter(row, problems);
          break;
        case 'storageVersion':
          facts.storageVersion = text(row, row.valueStart, row.valueLength);
          break;
      }
      return true;
    },
  });
  facts.compactRevision = Math.max(facts.compactRevision, facts.finishedCompactRevision);
  return facts;
}

/** Reads every bucket but `key`, each row of it. */
export function readFacts(buckets: Buckets, problems: ProblemList): DatabaseFacts {
  const facts = readMetaBucket(buckets, problems);
  const members: DatabaseMember[] = [];
  const alarms: DatabaseAlarm[] = [];
  const take = (name: string, row: Row): void => {
    switch (name) {
      case 'lease':
        facts.leases += 1;
        break;
      case 'alarm': {
        const alarm = readAlarm(row, problems);
        if (alarm !== null && alarms.length < maxListed) alarms.push(alarm);
        break;
      }
      case 'members': {
        const member = readMember(row, problems);
        if (member !== null && members.length < maxListed) members.push(member);
        break;
      }
      case 'cluster':
        if (text(row, row.keyStart, row.keyLength) === 'clusterVersion') {
          facts.clusterVersion = text(row, row.valueStart, row.valueLength);
        }
        break;
      case 'auth':
        if (text(row, row.keyStart, row.keyLength) === 'authEnabled') {
          facts.authEnabled = row.valueLength === 1 && row.view.getUint8(row.valueStart) === 1;
        }
        break;
      default:
      // Walked all the same: its pages are checked on the way.
    }
  };
  for (const name of buckets.names) {
    if (name === 'key' || name === 'meta') continue;
    buckets.walk(name, {
      row(row) {
        take(name, row);
        return true;
      },
    });
  }
  return { ...facts, alarms, members };
}

function text(row: Row, start: number, length: number): string {
  const shown = Math.min(length, maxTextBytes);
  return Buffer.from(row.bytes.buffer, row.bytes.byteOffset + start, shown).toString();
}

function counter(row: Row, problems: ProblemList): number | null {
  const value = row.valueLength === 8 ? u64be(row.view, row.valueStart) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  problems.add(row.page, `${text(row, row.keyStart, row.keyLength)} in bucket meta is no usable number`);
  return null;
}

function revision(row: Row, problems: ProblemList): number | null {
  const read = readRevisionKey(row.view, row.valueStart, row.valueLength);
  if (read === null) {
    problems.add(row.page, `${text(row, row.keyStart, row.keyLength)} in bucket meta is no revision`);
  }
  return read?.main ?? null;
}

/** An alarm is a row without value; its key is an `etcdserverpb.AlarmMember`. */
function readAlarm(row: Row, problems: ProblemList): DatabaseAlarm | null {
  const message = new ProtobufReader().open(row.view, row.keyStart, row.keyLength);
  let member = 0n;
  let alarm = 0;
  while (message.next()) {
    if (message.type !== wire.varint) continue;
    if (message.field === 1) member = message.bigint();
    else if (message.field === 2) alarm = message.number;
  }
  if (message.failed) {
    problems.add(row.page, 'a row of bucket alarm is no alarm');
    return null;
  }
  return { member: member.toString(16), alarm: alarmNames[alarm] ?? String(alarm) };
}

/** A member is JSON. Its id is taken from the key: as a JSON number it has lost its last digits. */
function readMember(row: Row, problems: ProblemList): DatabaseMember | null {
  const id = text(row, row.keyStart, row.keyLength);
  try {
    const json: unknown = JSON.parse(text(row, row.valueStart, row.valueLength));
    if (typeof json === 'object' && json !== null && /^[0-9a-f]{1,16}$/.test(id)) {
      const member = json as Record<string, unknown>;
      return {
        id,
        name: typeof member.name === 'string' ? member.name : '',
        peerURLs: strings(member.peerURLs),
        clientURLs: strings(member.clientURLs),
        isLearner: member.isLearner === true,
      };
    }
  } catch {
    // Told below, together with JSON that is no member.
  }
  problems.add(row.page, 'a row of bucket members is no member');
  return null;
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
