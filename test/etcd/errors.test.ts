import { describe, expect, test } from 'vitest';
import { type CallContext, etcdError } from '../../src/etcd/errors.ts';
import { type ErrorCode, GranaryError } from '../../src/model/errors.ts';

const context: CallContext = {
  target: { name: 'eu-west/prod-a', endpoints: ['http://10.0.0.1:2379'], tls: null, auth: null },
  endpoint: 'http://10.0.0.1:2379',
  action: 'read HashKV',
  otherScheme: false,
};

/** Texts of servers and states that are costly to bring about for real. The others are met in connection.test.ts. */
const said: [number, string, ErrorCode, RegExp][] = [
  [9, 'etcdserver: rpc not supported for learner', 'etcd-failed', /is a learner$/],
  [14, 'etcdserver: rpc not supported for learner', 'etcd-failed', /is a learner$/],
  [8, 'etcdserver: mvcc: database space exceeded', 'etcd-failed', /its database is full \(alarm NOSPACE\)/],
  [15, 'etcdserver: corrupt cluster', 'etcd-failed', /has the alarm CORRUPT/],
  [14, 'etcdserver: no leader', 'etcd-failed', /: no leader$/],
  [14, 'etcdserver: request timed out', 'etcd-failed', /: request timed out$/],
  [12, 'unknown method HashKV', 'etcd-failed', /does not know that call/],
  [2, 'auth: user name is empty', 'etcd-auth', /authentication on, and nobody was named/],
  [3, 'etcdserver: user name is empty', 'etcd-auth', /authentication on, and nobody was named/],
  [2, 'permission denied', 'etcd-permission', /does not let the user of the client certificate read HashKV/],
  [7, 'etcdserver: permission denied', 'etcd-permission', /permission denied$/],
  [16, 'etcdserver: invalid auth token', 'etcd-auth', /does not accept the token/],
  [4, 'Deadline exceeded after 10.001s,LB pick: 0.001s', 'etcd-unreachable', /did not answer in time/],
  [14, 'Connection dropped', 'etcd-unreachable', /: Connection dropped$/],
  [
    14,
    'No connection established. Last error: Error: connect EHOSTUNREACH 10.0.0.1:2379. Resolution note: ',
    'etcd-unreachable',
    /: connect EHOSTUNREACH 10\.0\.0\.1:2379$/,
  ],
  [13, 'something new', 'etcd-failed', /could not read HashKV at http:\/\/10\.0\.0\.1:2379: something new/],
  [13, '', 'etcd-failed', /gRPC status 13/],
];

describe('etcdError', () => {
  test.each(said)('%i %s', (code, details, expected, message) => {
    const error = etcdError(Object.assign(new Error(`${code}: ${details}`), { code, details }), context);
    expect(error.code).toBe(expected);
    expect(error.message).toMatch(message);
    expect(error.hint).toBeDefined();
    expect(error.context).toEqual({ target: 'eu-west/prod-a', endpoint: 'http://10.0.0.1:2379' });
  });

  test('a failure that has a name keeps it, and is told where it happened once', () => {
    const stalled = new GranaryError('stalled', 'etcd sent nothing for 1 minute', { hint: 'look at it' });
    const told = etcdError(stalled, context);
    expect(told.message).toBe(
      'could not read HashKV at http://10.0.0.1:2379: etcd sent nothing for 1 minute',
    );
    expect([told.code, told.hint]).toEqual(['stalled', 'look at it']);
    expect(etcdError(told, context)).toBe(told);
  });
});
