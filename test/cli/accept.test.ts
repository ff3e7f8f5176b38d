/** An etcd that is replaced under its name, told by the commands that a person has. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { Fleet } from './fleet.ts';
import { expectFailure, granary } from './granary.ts';

describeWith(['etcd-3.6'], 'a cluster that goes back', () => {
  let before: EtcdServer;
  let after: EtcdServer;
  let fleet: Fleet;
  beforeAll(async () => {
    [before, after] = await Promise.all([startEtcd({ version: '3.6' }), startEtcd({ version: '3.6' })]);
    for (let key = 0; key < 20; key++) await before.etcdctl('put', `/registry/${key}`, 'value');
    await after.etcdctl('put', '/registry/0', 'value');
    const destinations = { one: {}, two: {} };
    fleet = await Fleet.make({ endpoints: before.endpoints, destinations });
    for (const name of ['one', 'two']) fleet.write('Destination', name, fleet.local(name));
  });
  afterAll(async () => {
    fleet?.[Symbol.dispose]();
    await Promise.all([before?.stop(), after?.stop()]);
  });

  const run = (...args: string[]) => granary([...args, ...fleet.source], { env: fleet.env });
  const json = async (...args: string[]) => JSON.parse((await run(...args, '-o', 'json')).stdout);
  const guards = async (): Promise<string[]> =>
    (await json('plan')).guards.map(({ code }: { code: string }) => code);
  const newest = async () => (await json('verify', 'eu/prod')).items[0].id as string;

  test('is kept, marked, told, and not restored by itself, until it is accepted', async () => {
    const first = (await json('backup', 'eu/prod')).results[0];
    expect(first).toMatchObject({ outcome: 'published', error: null });
    expect((await run('apply')).code).toBe(0);

    fleet.write('Seed', 'eu', { clusters: [{ name: 'prod', endpoints: after.endpoints }] });
    const step = await run('backup', 'eu/prod');
    expect(step.code, step.stderr).toBe(4);
    expect(step.stdout).toMatch(/^eu\/prod\/manual\/\S+ on one, two, /);
    expect(step.stderr).toMatch(
      /error: eu\/prod\/manual\/\S+ is a step back from eu\/prod\/\S+: it is of the etcd cluster [0-9a-f]+, and that one of [0-9a-f]+; it ends at revision 2, and that one at 21; it has 1 keys, and that one 20\n/,
    );
    expect(step.stderr).toContain('hint: it is kept and marked, and removals of eu/prod are frozen');
    expect(step.stderr).toContain('`granary accept eu/prod`');
    // The next one is compared with the last good one, and not with the marked one.
    const again = await json('backup', 'eu/prod');
    expect(again.results[0]).toMatchObject({ outcome: 'published', error: { code: 'backup-regressed' } });
    expect(fleet.stored('one').filter((file) => file.includes('/freezes/'))).toEqual([
      expect.stringMatching(/^clusters\/eu\/prod\/freezes\/cluster-\w+\.json$/),
    ]);
    expect((await run('get', 'backups')).stdout.match(/STEP/g)).toHaveLength(2);
    const marks = (await json('get', 'backups')).items.map((item: { marks: string[] }) =>
      item.marks.join(' '),
    );
    expect(new Set(marks)).toEqual(new Set(['cluster-id revision keys', '']));
    expect(await guards()).toContain('frozen-regression');
    const plan = await run('plan');
    expect(plan.stdout).toContain('of another etcd cluster');
    const good = await newest();
    expect(good).not.toBe(again.results[0].id);

    const dry = await run('accept', 'eu/prod', '--dry-run');
    expect(dry.stdout).toContain('frozen    a backup is of another etcd cluster than those before it');
    expect(dry.stdout).toContain('Nothing was changed; without --dry-run it is recorded on one, two.');
    expect(await guards()).toContain('frozen-regression');

    const accepted = await run('accept', 'eu/prod');
    expect(accepted.code, accepted.stderr).toBe(0);
    expect(accepted.stdout).toContain(`revision 2, 1 keys, as in ${again.results[0].id}`);
    expect(accepted.stdout).toContain('Removals of eu/prod go on with the next pass (recorded on one, two).');
    expect(await guards()).not.toContain('frozen-regression');
    expect(await newest()).toBe(again.results[0].id);
    expect((await run('get', 'backups')).stdout).not.toContain('STEP');
    expect((await json('backup', 'eu/prod')).results[0]).toMatchObject({ outcome: 'published', error: null });
    expect((await run('accept', 'eu/prod')).stdout).toBe(
      'Nothing of eu/prod is frozen; nothing was written.\n',
    );

    // Back to the first one: that is a step back from what was accepted.
    fleet.write('Seed', 'eu', { clusters: [{ name: 'prod', endpoints: before.endpoints }] });
    const back = (await json('backup', 'eu/prod')).results[0];
    expect(back.error.message).toMatch(/it is of the etcd cluster [0-9a-f]+, and that one of [0-9a-f]+$/);
  });

  test('what is no cluster is said', async () => {
    const options = { env: fleet.env };
    await expectFailure(
      ['accept', 'prod', ...fleet.source],
      {
        code: 'usage',
        says: ['`prod` is not a cluster'],
        hint: 'SEED/CLUSTER',
      },
      options,
    );
    await expectFailure(
      ['accept', 'eu/nothing', ...fleet.source],
      {
        code: 'unknown-object',
        says: ['there is no cluster eu/nothing'],
        hint: 'eu/prod',
      },
      options,
    );
  });
});
