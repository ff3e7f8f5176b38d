/** Replicas in a real etcd. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Membership } from '../../../src/agent/replicas/membership.ts';
import type { EtcdTarget } from '../../../src/etcd/target.ts';
import { never, passwordOf, targetOf } from '../../etcd/support.ts';
import { describeWith } from '../../servers/describe.ts';
import { type EtcdServer, etcdVersions, startEtcd, toolOf } from '../../servers/etcd.ts';
import { startPausableProxy } from './pausable-proxy.ts';

const patience = { timeout: 30_000, interval: 20 };

for (const version of etcdVersions) {
  describeWith([toolOf(version)], `replicas in etcd ${version}`, () => {
    let etcd: EtcdServer;
    beforeAll(async () => {
      etcd = await startEtcd({ version, auth: { password: 'of-root' } });
    });
    afterAll(() => etcd.stop());

    interface Joined extends AsyncDisposable {
      readonly membership: Membership;
      changes: number;
      readonly problems: (string | null)[];
    }

    function join(id: string, seed: string, target?: Partial<EtcdTarget>): Joined {
      const problems: (string | null)[] = [];
      const membership = new Membership({
        id,
        prefix: `/granary/seeds/${seed}/`,
        target: async () => ({
          ...targetOf(etcd, { auth: passwordOf('root', 'of-root') }),
          ...target,
        }),
        onChange: () => {
          joined.changes += 1;
        },
        onProblem: (problem) => problems.push(problem?.code ?? null),
      });
      const joined: Joined = {
        membership,
        changes: 0,
        problems,
        [Symbol.asyncDispose]: () => membership.close(),
      };
      return joined;
    }
    const see = (joined: Joined, ids: string[]) =>
      expect.poll(() => joined.membership.members, patience).toEqual(ids);

    test('see each other come, and go at once when they say so', async () => {
      await using a = join('a', 'comings');
      await see(a, ['a']);
      await using b = join('b', 'comings');
      await see(b, ['a', 'b']);
      await see(a, ['a', 'b']);
      const { changes } = b;
      await a.membership.close();
      expect(a.membership.members).toBeNull();
      await see(b, ['b']);
      expect(b.changes).toBeGreaterThan(changes);
    });

    test('a lock is of one at a time, is seen to be free, and goes with its replica', async () => {
      await using a = join('a', 'locks');
      await using b = join('b', 'locks');
      await see(a, ['a', 'b']);
      await see(b, ['a', 'b']);
      const lock = await a.membership.lock('prod', never);
      expect(lock?.holds()).toBe(true);
      expect(await b.membership.lock('prod', never)).toBeNull();
      // Its own again, as after an answer that was lost.
      expect((await a.membership.lock('prod', never))?.holds()).toBe(true);
      const { changes } = b;
      await lock?.release();
      await expect.poll(() => b.changes, patience).toBeGreaterThan(changes);
      expect((await b.membership.lock('prod', never))?.holds()).toBe(true);
      await b.membership.close();
      await see(a, ['a']);
      expect((await a.membership.lock('prod', never))?.holds()).toBe(true);
    });

    test('one that is cut off knows it before the others forget it, and comes back', async () => {
      const [endpoint = ''] = etcd.endpoints;
      await using proxy = await startPausableProxy(Number(new URL(endpoint).port));
      await using a = join('a', 'cuts', { endpoints: [`http://127.0.0.1:${proxy.port}`] });
      await using b = join('b', 'cuts');
      await see(b, ['a', 'b']);
      await see(a, ['a', 'b']);
      const lock = await a.membership.lock('prod', never);
      // Each time somebody looks: as long as b does not know that a is gone, nothing can have been taken from it.
      let wasEarly = false;
      const isForgotten = () => {
        const members = b.membership.members;
        if (members?.length === 1 && (a.membership.members !== null || lock?.holds())) wasEarly = true;
        return members?.length;
      };
      // This process holds b's connection, too: it goes straight to the server, and is not muted.
      proxy.pause(process.pid);
      await expect.poll(isForgotten, patience).toBe(1);
      expect(wasEarly).toBe(false);
      expect(a.problems.at(-1)).toBe('etcd-unreachable');
      expect((await b.membership.lock('prod', never))?.holds()).toBe(true);
      proxy.resume();
      await see(a, ['a', 'b']);
      expect(lock?.holds()).toBe(false);
      expect(await a.membership.lock('prod', never)).toBeNull();
      expect(a.problems.at(-1)).toBeNull();
    });

    test('a wrong password is told, and is no end', async () => {
      let password = 'wrong';
      const problems: (string | null)[] = [];
      const membership = new Membership({
        id: 'a',
        prefix: '/granary/seeds/password/',
        target: async () => targetOf(etcd, { auth: passwordOf('root', password) }),
        onChange: () => {},
        onProblem: (problem) => problems.push(problem?.code ?? null),
      });
      await using _ = { [Symbol.asyncDispose]: () => membership.close() };
      await expect.poll(() => problems, patience).toEqual(['etcd-auth']);
      expect(membership.members).toBeNull();
      password = 'of-root';
      await expect.poll(() => membership.members, patience).toEqual(['a']);
      await expect.poll(() => problems, patience).toEqual(['etcd-auth', null]);
    });
  });
}
