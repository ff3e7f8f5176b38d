/** What the README shows is true: its configuration is valid, and its two commands are those of package.json. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { expect, test } from 'vitest';
import { loadChecked } from '../../src/execute/lint.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { root } from './repository.ts';

const readme = readFileSync(join(root, 'README.md'), 'utf8');

test('the two commands are scripts of package.json', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  expect(readme).toContain('\nnpm ci && npm run demo\n');
  expect(readme).toContain('\nnpm ci && npm test\n');
  expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['demo', 'test', 'granary', 'build']));
});

describeWith(['sops'], 'the configuration in the README', () => {
  test('is valid once its credential is there', async () => {
    using folder = tempFolder('readme');
    const yaml = /```yaml\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    writeFileSync(folder.join('granary.yaml'), yaml);
    const recipient = await identityToRecipient(await generateX25519Identity());
    writeFileSync(
      folder.join('.sops.yaml'),
      `creation_rules:\n  - path_regex: \\.sops\\.yaml$\n    encrypted_regex: ^data$\n    age: ${recipient}\n`,
    );
    mkdirSync(folder.join('credentials'));
    writeFileSync(
      folder.join('credentials/eu-s3-key.sops.yaml'),
      'apiVersion: granary.dev/v1\nkind: Credential\nmetadata:\n  name: eu-s3-key\nspec:\n  type: s3\ndata:\n  accessKeyId: AKIAEXAMPLE\n  secretAccessKey: not-a-real-one\n',
    );
    execFileSync(requireTool('sops'), ['encrypt', '--in-place', 'credentials/eu-s3-key.sops.yaml'], {
      cwd: folder.path,
    });
    const { diagnostics } = await loadChecked(folder.path);
    expect(diagnostics).toEqual([]);
  });
});
