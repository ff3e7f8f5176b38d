/** `granary validate --online`: what only the places themselves can tell, after what the files say. */
import { expect, test } from 'vitest';
import { Fleet } from './fleet.ts';
import { granary } from './granary.ts';

/** Nothing listens there. */
const endpoints = ['http://127.0.0.1:9'];

test('places are tried out where nothing is wrong offline', async () => {
  using fleet = await Fleet.make({ endpoints });
  const text = await granary(['validate', '--online', ...fleet.opened], { env: fleet.env });
  expect(text.code).toBe(4);
  expect(text.stdout).toContain('No errors, no warnings in 3 files.\n');
  expect(text.stdout).toContain(`local (folder ${fleet.folder.join('local')})`);
  expect(text.stdout.trimEnd().split('\n').at(-1)).toMatch(/^Not ready: .*eu\/prod/);

  const json = await granary(['validate', '--online', ...fleet.opened, '-o', 'json'], { env: fleet.env });
  expect(json.code).toBe(4);
  expect(JSON.parse(json.stdout)).toMatchObject({
    valid: true,
    diagnostics: [],
    checks: [
      { kind: 'destination', name: 'local', ready: true },
      { name: 'eu/prod', ready: false },
    ],
  });
  expect(fleet.stored('local')).toEqual([]);
});

test('a faulty configuration contacts nothing, and says so', async () => {
  using fleet = await Fleet.make({ endpoints });
  fleet.writePolicy('hourly', { destinations: ['nowhere'] });
  const ran = await granary(['validate', '--online', ...fleet.opened], { env: fleet.env });
  expect(ran.code).toBe(1);
  expect(ran.stdout).toContain('destination `nowhere` does not exist');
  expect(ran.stdout.trimEnd()).toMatch(/Nothing was contacted\.$/);
});

test('github annotations name the kind of a mistake, and a warning ends with 0', async () => {
  using fleet = await Fleet.make({ endpoints });
  fleet.write('Destination', 'local', { ...fleet.local('local'), locality: 'internal' });
  const ran = await granary(['validate', ...fleet.source, '-o', 'github'], { env: fleet.env });
  expect(ran.code).toBe(0);
  expect(ran.stdout).toMatch(
    /^::warning file=seed-eu\.yaml,line=\d+,col=\d+,title=internal-only::backups of seed/,
  );
});
