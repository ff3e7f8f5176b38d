import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { schemaFaults } from '../../../src/config/schemas.ts';
import type { AgentStatus } from '../../../src/model/generated/agent-status.ts';
import { Repository } from '../../git/repository-fixture.ts';
import { describeWith } from '../../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../../servers/etcd.ts';
import { tempFolder } from '../../servers/temp.ts';
import { RunningAgent } from '../running-agent.ts';
import { configuration } from '../world.ts';
import { openBrowser, violations } from './browser.ts';

const token = 'a-token-that-nobody-may-read';

describeWith(['etcd-3.4', 'chromium'], 'the status of an agent that runs', () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.4' });
  });
  afterAll(() => etcd.stop());

  test('page and JSON say the same, tell of a backup when it is there, and hold no secret', async () => {
    using temp = tempFolder('status');
    const disk = temp.join('disk');
    mkdirSync(disk);
    writeFileSync(temp.join('token'), token);
    const repository = new Repository(temp.join('repository'));
    const seeds = { eu: { prod: etcd.endpoints[0] ?? '' } };
    const commit = repository.commit('Back up <b>prod</b>', configuration({ seeds, disk }));
    await using agent = new RunningAgent([
      '--repo',
      repository.folder,
      '--http-token-file',
      temp.join('token'),
    ]);
    const { listen } = await agent.logged('agent started');
    const browser = await openBrowser();
    const context = await browser.newContext({ httpCredentials: { username: 'anybody', password: token } });
    const page = await context.newPage();
    await page.goto(String(listen));
    await page.waitForSelector('.answer.good');
    await agent.logged('backup done');
    const answer = await fetch(`${listen}/api/v1/status`, { headers: { authorization: `Bearer ${token}` } });
    const text = await answer.text();
    const status = JSON.parse(text) as AgentStatus;
    expect(schemaFaults('agent-status', status)).toEqual([]);
    const [seed] = status.seeds;
    const policy = seed?.clusters[0]?.policies[0];
    expect(seed?.commit).toMatchObject({ id: commit, subject: 'Back up <b>prod</b>' });
    expect(seed?.destinations).toMatchObject([
      { name: 'disk', url: `file://${disk}`, probe: { ready: true } },
    ]);
    expect(policy).toMatchObject({
      state: 'safe',
      backups: 1,
      backup: { copies: ['disk'], missingCopies: [] },
    });
    expect(policy?.backup?.snapshotBytes).toBeGreaterThan(0);
    expect(policy?.proofs.hashkv?.ok).toBe(true);

    expect(await page.locator('h1').textContent()).toBe('The one cluster is safe');
    const row = page.locator('.fleet tbody tr');
    expect(await row.textContent()).toContain('disk');
    expect(await row.locator('time').first().getAttribute('datetime')).toBe(policy?.backup?.slot);
    expect(await page.locator('#rest').textContent()).toContain('Back up <b>prod</b>');
    expect(await violations(page)).toEqual([]);
    await page.click('.fleet tbody th a');
    expect(await page.locator('code').first().textContent()).toBe(policy?.backup?.id);
    expect(text + (await page.content())).not.toContain(token);
    await browser.close();
  });
});
