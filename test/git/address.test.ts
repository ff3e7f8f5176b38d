import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { parseAddress, scrub } from '../../src/git/address.ts';
import { explainFailure } from '../../src/git/failure.ts';
import { parseRef } from '../../src/git/refs.ts';

test('a password is taken out of the address and never shown', () => {
  const address = parseAddress('https://bot:s3cr%40t-token@git.example/acme/fleet.git?x=hidden');
  expect(address.url).toBe('https://git.example/acme/fleet.git?x=hidden');
  expect(address.shown).toBe('https://***@git.example/acme/fleet.git');
  expect(address.authorization).toBe(`Basic ${Buffer.from('bot:s3cr@t-token').toString('base64')}`);
});

test('a user over HTTP may be a token: given to git, not shown', () => {
  const address = parseAddress('https://ghp_abcdef@git.example/acme/fleet.git');
  expect(address.url).toContain('ghp_abcdef@');
  expect(address.shown).not.toContain('ghp_abcdef');
});

test.each([
  ['git@git.example:acme/fleet.git', 'git@git.example:acme/fleet.git'],
  ['ssh://git@git.example:22/acme/fleet.git', 'ssh://git@git.example:22/acme/fleet.git'],
  ['file:///srv/fleet.git', 'file:///srv/fleet.git'],
  ['/srv/fleet.git', '/srv/fleet.git'],
])('%s is taken as it is', (text, shown) => {
  expect(parseAddress(text)).toMatchObject({ url: text, shown, authorization: null });
});

test.each([
  '',
  '-oProxyCommand=touch',
  '--upload-pack=touch',
  'ext::sh -c touch% x',
  'fd::3',
  'https::https://git.example/x',
  'ftp://git.example/x',
  'javascript://x',
  'ssh://-oProxyCommand=touch/x',
  'ssh://-oProxyCommand@host/x',
  'https://',
  'https://git.example/x\n',
])('%j is refused', (text) => {
  expect(() => parseAddress(text)).toThrow(expect.objectContaining({ code: 'usage' }));
});

test('a host that begins with a dash is no SSH address, but a harmless local path', () => {
  expect(parseAddress('git@-oProxyCommand=x:y').url.startsWith('/')).toBe(true);
});

test.each([
  '-x',
  '--exec=x',
  '',
  'a..b',
  'a b',
  'a~1',
  'a^',
  'a:b',
  'HEAD@{1}',
  '/a',
  'a/',
  'a.lock',
  '.a',
  'a\nb',
])('%j is no ref', (text) => {
  expect(() => parseRef(text)).toThrow(expect.objectContaining({ code: 'usage' }));
});

test('refs: names, full commit ids, and none', () => {
  const id = 'a'.repeat(40);
  expect(parseRef('feature/x-1')).toEqual({ name: 'feature/x-1', commit: null });
  expect(parseRef(id)).toEqual({ name: id, commit: id });
  expect(parseRef(null)).toEqual({ name: null, commit: null });
});

test('nothing secret is in an error, whatever git repeats', () => {
  const address = parseAddress('https://bot:s3cr%40t-token@git.example/x?private_token=hidden1');
  const basic = address.authorization ?? '';
  const words = `fatal: unable to access 'https://bot:s3cr%40t-token@git.example/x': s3cr@t-token ${basic} private_token=hidden1 https://a:b@c/`;
  const error = explainFailure({ words, command: 'fetch', stalledMs: null, address });
  for (const secret of ['s3cr', 'hidden1', basic.slice(6), 'a:b@']) {
    expect(inspect(error) + error.hint + JSON.stringify(error)).not.toContain(secret);
  }
  expect(scrub('https://u:p@h/x', null)).toBe('https://***@h/x');
});

test.each([
  ["fatal: could not read Username for 'https://x': terminal prompts disabled", 'git-auth'],
  ['git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.', 'git-auth'],
  ['Host key verification failed.\nfatal: Could not read from remote repository.', 'git-auth'],
  ["fatal: couldn't find remote ref x", 'git-ref-not-found'],
  ["fatal: unable to access 'x': Could not resolve host: x", 'git-failed'],
  ["fatal: unable to access 'x': SSL certificate problem: self-signed certificate", 'tls-untrusted'],
  ['fatal: write error: No space left on device', 'disk-full'],
  ['fatal: something new', 'git-failed'],
  ['', 'git-failed'],
])('%j is %s', (words, code) => {
  const error = explainFailure({ words, command: 'fetch', stalledMs: null, address: null });
  expect(error.code).toBe(code);
  expect(error.hint).toBeTruthy();
});
