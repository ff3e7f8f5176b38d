/** What diagnostics say, in full, where the words matter. */
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { loadConfiguration } from '../../src/config/index.ts';
import type { Configuration } from '../../src/model/config.ts';
import { tempFolder } from '../servers/temp.ts';
import { bucket, credential, disk, document, load, policy, s3Keys, seed, sound } from './support.ts';

function said(configuration: Configuration): string[] {
  return configuration.diagnostics.map(({ message, hint }) =>
    hint === null ? message : `${message} | ${hint}`,
  );
}

test('unknown fields say where they are and what was meant', async () => {
  const configuration = await load({
    'a.yaml': bucket('aaa', ', regoin: x'),
    'b.yaml': disk('b', ', bucket: x'),
    'c.yaml': `${disk('c')}path: /x\n`,
    'd.yaml': disk('d', ', zebra: 1'),
    'e.yaml': disk('e', ', <<: {}'),
  });
  expect(said(configuration)).toEqual([
    'unknown field `regoin` in a Destination of provider s3 | did you mean `region`?',
    'unknown field `bucket` in a Destination of provider filesystem | `bucket` is a field of provider s3, gcs, azure',
    'unknown field `path` in a Destination | `path` belongs below `spec`',
    'unknown field `zebra` in a Destination of provider filesystem | known here are provider, displayName, organization, projects, seeds, default, locked, locality, path',
    'unknown field `<<` in a Destination of provider filesystem | merge keys are not supported; write the fields out',
  ]);
});

test('wrong and missing values say what is wanted', async () => {
  const configuration = await load({
    ...sound,
    'a.yaml': document('Destination', 'a', '{provider: s3}'),
    'b.yaml': document('Destination', 'b', '{provider: s4}'),
    'c.yaml': disk('c', ', seeds: eu-west, locked: "no", displayName: x'),
    'd.yaml': policy('d', ', grace: 72, stallTimeout: 60 s, verify: {hashKV: requre}'),
  });
  expect(said(configuration)).toEqual([
    '`bucket` is missing in a Destination of provider s3 | for example `bucket: etcd-backups`',
    '`s4` is no provider of a Destination | did you mean `s3`?',
    '`seeds` must be a list of seeds, or a mapping with `matchLabels`, and is a text | put it in brackets: `[…]`',
    '`locked` must be true or false, and is a text',
    '`x` is not a display name of 3 to 30 characters',
    '`grace` must be a text, and is a number | write a duration such as `90s`, `5m`, `48h` or `7d`',
    '`60 s` is not a duration such as `90s`, `5m`, `48h` or `7d`',
    '`verify.hashKV` is `requre`, and must be one of require, try, off | did you mean `require`?',
  ]);
});

test('references say what is defined', async () => {
  const many = Array.from({ length: 12 }, (_, index) => disk(`disk-${String(index).padStart(2, '0')}`)).join(
    '---\n',
  );
  const configuration = await load({
    ...sound,
    'many.yaml': many,
    'p.yaml': policy('p').replace('[disk]', '[disk-9, disk-011]'),
    'q.yaml': policy('q').replace('clusters: {}', 'clusters: {seeds: [us]}'),
  });
  expect(said(configuration)).toEqual([
    'destination `disk-9` does not exist | did you mean `disk-09`? defined here are disk, disk-00, disk-01, disk-02, disk-03, disk-04, disk-05, disk-06 and 5 more',
    'destination `disk-011` does not exist | did you mean `disk-01`? defined here are disk, disk-00, disk-01, disk-02, disk-03, disk-04, disk-05, disk-06 and 5 more',
    'seed `us` does not exist | defined here is eu-west',
  ]);
});

test('what is not backed up is said, with the reason', async () => {
  const configuration = await load({
    'seed.yaml': seed('eu-west'),
    'b.yaml': bucket('abc', ', credential: key'),
    'c.sops.yaml': credential('key', '{type: s3, locked: true}', s3Keys),
    'p.yaml': policy('p').replace('[disk]', '[abc]'),
  });
  expect(configuration.diagnostics.map(({ severity }) => severity)).toEqual(['warning', 'warning']);
  expect(said(configuration)).toEqual([
    'credential `key` is locked: no new backups on `abc`, and no removals',
    'backup is off for eu-west: all its destinations are locked (abc) | see the `clusters` of the policies, and `destinations` or `defaultDestination`',
  ]);
});

test('no secret is ever repeated, whatever is wrong with the file', async () => {
  const secret = 'hunter2-correct-horse';
  const head = document('Credential', 'c', '{type: s3}');
  const files = {
    'plain.sops.yaml': `${head}data: {accessKeyId: ${secret}, secretAccessKey: "${secret}"}\n`,
    'list.sops.yaml': `${head}data: [${secret}]\n`,
    'nested.sops.yaml': `${head}data: {accessKeyId: {a: ${secret}}, secretAccessKey: [${secret}]}\n`,
    'text.sops.yaml': `${head}data: ${secret}\n`,
    'broken.sops.yaml': `${head}data: {accessKeyId: "${secret}\n`,
    'tab.sops.yaml': `${head}data:\n\t${secret}: ${secret}\n`,
    'name.sops.yaml': `${head}data:\n  accessKeyId: ${secret}: x\n`,
    'twice.sops.yaml': `${head}data: {accessKeyId: ${secret}, accessKeyId: ${secret}}\n`,
    'tag.sops.yaml': `${head}data: {accessKeyId: !!binary ${secret}}\n`,
    'endpoint.yaml': bucket(
      'abc',
      `, forcePathStyle: true, endpoint: "https://user:${secret}@minio.example"`,
    ),
    'endpoint2.yaml': seed(
      'x',
      `{clusters: [{name: a, endpoints: ["https://user:${secret}@10.0.0.1:2379"]}]}`,
    ),
    'recipient.yaml': policy('p', `, encryption: {recipients: [AGE-SECRET-KEY-${secret}]}`),
  };
  for (const [file, text] of Object.entries(files)) {
    const { diagnostics } = await load({ [file]: text });
    expect(diagnostics, file).not.toEqual([]);
    expect(JSON.stringify(diagnostics), file).not.toContain(secret);
  }
});

test('a certificate that ends soon is a warning, one that lasts is none', async () => {
  using folder = tempFolder('certificate');
  const make = (days: number) => {
    const key = folder.join('key.pem');
    return execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-subj',
        '/CN=ca',
        '-days',
        String(days),
        '-keyout',
        key,
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
  };
  const indented = (pem: string) => pem.trim().replaceAll('\n', '\n    ');
  const config = tempFolder('config');
  await writeFile(
    config.join('a.yaml'),
    document(
      'Destination',
      'a',
      `\n  provider: s3\n  bucket: abc\n  caCertificate: |\n    ${indented(make(60))}\n    ${indented(make(90))}`,
    ),
  );
  const in20Days = new Date(Date.now() + 20 * 86_400_000);
  const in40Days = new Date(Date.now() + 40 * 86_400_000);
  const in70Days = new Date(Date.now() + 70 * 86_400_000);
  expect((await loadConfiguration(config.path, { now: in20Days })).diagnostics).toEqual([]);
  const [soon] = (await loadConfiguration(config.path, { now: in40Days })).diagnostics;
  expect(soon).toMatchObject({
    code: 'certificate-ends',
    severity: 'warning',
    line: 7,
    message: expect.stringMatching(/ ends at \d{4}-/),
  });
  const [late] = (await loadConfiguration(config.path, { now: in70Days })).diagnostics;
  expect(late).toMatchObject({
    code: 'certificate-ends',
    message: expect.stringMatching(/ ended at \d{4}-/),
  });
  config.remove();
});

test('errors come first, then file and position; every one has a subject where one is known', async () => {
  const { diagnostics } = await load({
    'b.yaml': `${disk('b', ', nope: 1, neither: 2')}---\n${disk('c', ', nope: 1')}`,
    'a.yaml': bucket('abc', ', endpoint: "https://minio.example"'),
    'c.yaml': 'kind: Policy\nmetadata: {name: p}\nspec: @\n',
    'd.yaml': '[1\n',
  });
  expect(
    diagnostics.map(({ severity, file, line, column, subject }) => [severity, file, line, column, subject]),
  ).toEqual([
    ['error', 'b.yaml', 4, 48, { kind: 'Destination', name: 'b' }],
    ['error', 'b.yaml', 4, 57, { kind: 'Destination', name: 'b' }],
    ['error', 'b.yaml', 9, 48, { kind: 'Destination', name: 'c' }],
    ['error', 'c.yaml', 3, 7, { kind: 'Policy', name: 'p' }],
    ['error', 'd.yaml', 2, 1, null],
    ['warning', 'a.yaml', 4, 35, { kind: 'Destination', name: 'abc' }],
  ]);
});

test('what a file has of control characters is made visible in messages and hints', async () => {
  const { diagnostics } = await load({
    'a.yaml': disk('a', ', "no\\u001b[31mpe": 1'),
    'b.yaml': document('Policy', 'p', '{clusters: {}, "sched\\nule": {cron: "0 * * * *"}, keep: {last: 1}}'),
  });
  expect(diagnostics.map(({ message }) => message)).toEqual([
    expect.stringContaining('`no\\x1b[31mpe`'),
    expect.stringContaining('`sched\\nule`'),
  ]);
});
