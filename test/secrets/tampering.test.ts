/**
 * What SOPS' authentication code does not protect and what it does, line by line: each row says which line of the
 * reference it covers, what the real sops does, and who of ours refuses it. `lint` needs no key, `key` is found with the
 * key, `rule` against .sops.yaml, `schema` by `validate`, `state` by what is remembered; `nobody` is what only the
 * signature of a commit can tell, and the test holds that we do not claim more.
 */
import { writeFileSync } from 'node:fs';
import { armor, Decrypter, Encrypter } from 'age-encryption';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { diagnoseFile } from '../../src/config/index.ts';
import { isGranaryError } from '../../src/model/errors.ts';
import { lintCredentialFile, openCredentialFile } from '../../src/secrets/credential-file.ts';
import { RememberedCredentials } from '../../src/secrets/remembered.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import {
  encrypt,
  identitiesOf,
  type KeyPair,
  keyPair,
  plainCredential,
  sops,
  sopsOpens,
} from './sops-tool.ts';

type Refuser = 'lint' | 'key' | 'rule' | 'schema' | 'state' | 'nobody';

interface Row {
  /** Of the reference: the list it is on and its words. */
  readonly line: string;
  readonly sops: 'passes' | 'refuses';
  readonly refusedBy: Refuser;
  readonly make: (text: string, more: Others) => string | Promise<string>;
}

interface Others {
  readonly alice: KeyPair;
  readonly eve: KeyPair;
  /** The same credential, encrypted a second time for the same key. */
  readonly another: string;
  /** An older version of the same file. */
  readonly older: string;
  withPlain(change: (plain: string) => string): Promise<string>;
  /** By a rule of .sops.yaml, for what has no option. */
  withRule(rule: string, plain?: string): Promise<string>;
}

const encrypted = /ENC\[[^\]]*type:str\]/;
const lineOf = (text: string, start: string) =>
  text.split('\n').find((each) => each.trimStart().startsWith(start)) ?? '';
const cipherOf = (text: string, key: string) => encrypted.exec(lineOf(text, `${key}:`))?.[0] ?? '';

function movedTag(value: string): string {
  const [, data = '', tag = ''] = /data:([^,]*),.*tag:([^,]*),/.exec(value) ?? [];
  const bytes = Buffer.from(tag, 'base64');
  const longer = Buffer.concat([Buffer.from(data, 'base64'), bytes.subarray(0, 4)]);
  return value.replace(data, longer.toString('base64')).replace(tag, bytes.subarray(4).toString('base64'));
}

const inSops = (field: string) => (text: string) =>
  text.replace('\n    lastmodified', `\n    ${field}\n    lastmodified`);

const rows: readonly Row[] = [
  // What real `sops -d` lets pass
  {
    line: 'renaming a plain key',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('\nspec:', '\nstatus:'),
  },
  {
    line: 'renaming a plain key, further in',
    sops: 'passes',
    refusedBy: 'schema',
    make: (t) => t.replace('type: s3', 'tpye: s3'),
  },
  {
    line: 'map to list',
    sops: 'passes',
    refusedBy: 'schema',
    make: (t) => t.replace(/labels:\n +tier: gold\n +path: "17"/, 'labels:\n        - gold\n        - "17"'),
  },
  {
    line: 'int to string',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('path: "17"', 'path: 17'),
  },
  {
    line: 'splitting between neighbouring plain values',
    sops: 'passes',
    refusedBy: 'nobody',
    make: (t) => t.replace('- eu-s3\n', '- eu-s\n        - "3"\n'),
  },
  {
    line: 'merging neighbouring plain values',
    sops: 'passes',
    refusedBy: 'nobody',
    make: (t) => t.replace(/- eu-minio\n +- eu-s3/, '- eu-minioeu-s3'),
  },
  {
    line: 'shifting bytes between neighbouring plain values',
    sops: 'passes',
    refusedBy: 'nobody',
    make: (t) => t.replace(/- eu-minio\n( +)- eu-s3/, '- eu-minioe\n$1- u-s3'),
  },
  {
    line: 'exchanging two plain keys',
    sops: 'passes',
    refusedBy: 'nobody',
    make: (t) =>
      t.replace('tier: gold', '@: gold').replace('path: "17"', 'tier: "17"').replace('@: gold', 'path: gold'),
  },
  {
    line: 'adding null',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('type: s3', 'type: s3\n    organization: null'),
  },
  {
    line: 'adding ""',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('type: s3', 'type: s3\n    organization: ""'),
  },
  {
    line: 'adding {}',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('type: s3', 'type: s3\n    organization: {}'),
  },
  {
    line: 'adding [] (nothing is signed)',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('type: s3', 'type: s3\n    seeds: []'),
  },
  {
    line: 'adding null in data',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('\ndata:', '\ndata:\n    sessionToken: null'),
  },
  {
    line: 'adding "" in data',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('\ndata:', '\ndata:\n    sessionToken: ""'),
  },
  {
    line: 'adding {} in data',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('\ndata:', '\ndata:\n    sessionToken: {}'),
  },
  {
    line: 'dropping ""',
    sops: 'passes',
    refusedBy: 'lint',
    make: (_, { withPlain }) => withPlain((p) => p.replace('accessKeyId: AKIAEXAMPLE', 'accessKeyId: ""')),
  },
  {
    line: 'wrapping in a list',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace(cipherOf(t, 'secretAccessKey'), `[ "${cipherOf(t, 'secretAccessKey')}" ]`),
  },
  {
    line: 'wrapping a plain value in a list',
    sops: 'passes',
    refusedBy: 'schema',
    make: (t) => t.replace('type: s3', 'type: [s3]'),
  },
  {
    line: 'regrouping',
    sops: 'passes',
    refusedBy: 'schema',
    make: (t) => t.replace(/(\n +)displayName: (.*)/, '$1more:$1    displayName: $2'),
  },
  {
    line: 'a:b for nested a, b',
    sops: 'passes',
    refusedBy: 'schema',
    make: (t) => t.replace(/labels:\n +tier: gold\n +path:/, '"labels:tier": gold\n    "labels:path":'),
  },
  {
    line: 'an ENC type changed from int to str',
    sops: 'passes',
    refusedBy: 'nobody',
    make: async (_, { withPlain }) =>
      (await withPlain((p) => `${p}  sessionToken: 1234\n`)).replace('type:int', 'type:str'),
  },
  {
    line: 'an ENC type changed from bool to str',
    sops: 'passes',
    refusedBy: 'nobody',
    make: async (_, { withPlain }) =>
      (await withPlain((p) => `${p}  sessionToken: true\n`)).replace('type:bool', 'type:str'),
  },
  {
    line: 'an ENC type changed from str to bytes',
    sops: 'refuses',
    refusedBy: 'lint',
    make: (t) =>
      t.replace(
        cipherOf(t, 'secretAccessKey'),
        cipherOf(t, 'secretAccessKey').replace('type:str', 'type:bytes'),
      ),
  },
  {
    line: 'junk after the ]',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace(cipherOf(t, 'secretAccessKey'), `${cipherOf(t, 'secretAccessKey')}junk`),
  },
  {
    line: 'tag bytes moved into data',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace(cipherOf(t, 'secretAccessKey'), movedTag(cipherOf(t, 'secretAccessKey'))),
  },
  {
    line: 'an equivalent encrypted_regex',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('^data$', '^(data)$'),
  },
  {
    line: 'version',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('version: 3.', 'version: 9.'),
  },
  { line: 'unknown metadata', sops: 'passes', refusedBy: 'lint', make: inSops('note: x') },
  { line: 'comments', sops: 'passes', refusedBy: 'nobody', make: (t) => `# changed\n${t}` },
  { line: 'replay of a whole older file', sops: 'passes', refusedBy: 'state', make: (_, { older }) => older },
  {
    line: 'recipients added',
    sops: 'passes',
    refusedBy: 'rule',
    make: (_, { alice, eve, withRule }) =>
      withRule(`{encrypted_regex: ^data$, age: "${alice.recipient},${eve.recipient}"}`),
  },
  {
    line: 'recipients removed',
    sops: 'passes',
    refusedBy: 'rule',
    make: (t, { alice }) =>
      t.replace(
        new RegExp(
          ` {8}- enc: \\|\\n(?:(?! {8}- enc)[^\\n]*\\n)*? +recipient: (?!${alice.recipient})age1.*\\n`,
        ),
        '',
      ),
  },
  {
    line: 'recipients relabelled',
    sops: 'passes',
    refusedBy: 'rule',
    make: (t, { alice, eve }) =>
      t.replaceAll(new RegExp(`recipient: (?!${alice.recipient}).*`, 'g'), `recipient: ${eve.recipient}`),
  },
  {
    line: 'a whole file made by an attacker for the same public key',
    sops: 'passes',
    refusedBy: 'nobody',
    make: (_, { withPlain }) => withPlain((p) => p.replace('AKIAEXAMPLE', 'AKIAATTACKER')),
  },
  {
    line: 'with mac_only_encrypted any plain change',
    sops: 'passes',
    refusedBy: 'lint',
    make: async (_, { alice, withRule }) =>
      (
        await withRule(`{encrypted_regex: ^data$, mac_only_encrypted: true, age: ${alice.recipient}}`)
      ).replace('locked: false', 'locked: true'),
  },
  {
    line: 'keys moved across documents',
    sops: 'passes',
    refusedBy: 'lint',
    make: async (_, { withPlain }) =>
      (await withPlain((p) => `kind: x\n---\n${p}`))
        .replace('kind: x\n---\n', '---\nkind: x\n')
        .replace(/^---\n/, ''),
  },
  // What it refuses
  {
    line: 'renamed encrypted values',
    sops: 'refuses',
    refusedBy: 'key',
    make: (t) => t.replace('accessKeyId:', 'sessionToken:'),
  },
  {
    line: 'swapped encrypted values',
    sops: 'refuses',
    refusedBy: 'key',
    make: (t) =>
      t
        .replace(cipherOf(t, 'accessKeyId'), '@')
        .replace(cipherOf(t, 'secretAccessKey'), cipherOf(t, 'accessKeyId'))
        .replace('@', cipherOf(t, 'secretAccessKey')),
  },
  {
    line: 'moved encrypted values',
    sops: 'refuses',
    refusedBy: 'lint',
    make: (t) =>
      t
        .replace(`${lineOf(t, 'accessKeyId:')}\n`, '')
        .replace('\nspec:', `\nspec:\n${lineOf(t, 'accessKeyId:')}`),
  },
  {
    line: 'plain text in data',
    sops: 'refuses',
    refusedBy: 'lint',
    make: (t) => t.replace(cipherOf(t, 'secretAccessKey'), 'plain'),
  },
  {
    line: 'a false ENC in data',
    sops: 'refuses',
    refusedBy: 'lint',
    make: (t) =>
      t.replace(cipherOf(t, 'secretAccessKey'), 'ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]'),
  },
  {
    line: 'dropped values',
    sops: 'refuses',
    refusedBy: 'key',
    make: (t) => t.replace(`${lineOf(t, 'accessKeyId:')}\n`, ''),
  },
  {
    line: 'changed plain values',
    sops: 'refuses',
    refusedBy: 'key',
    make: (t) => t.replace('tier: gold', 'tier: lead'),
  },
  {
    line: 'changed plain booleans',
    sops: 'refuses',
    refusedBy: 'key',
    make: (t) => t.replace('locked: false', 'locked: true'),
  },
  {
    line: 'added plain values',
    sops: 'refuses',
    refusedBy: 'key',
    make: (t) => t.replace('type: s3', 'type: s3\n    organization: acme'),
  },
  {
    line: 'reordered keys',
    sops: 'refuses',
    refusedBy: 'key',
    make: (t) => t.replace(/(\n +type: s3)(\n +displayName:.*)/, '$2$1'),
  },
  {
    line: 'replayed values',
    sops: 'refuses',
    refusedBy: 'key',
    make: (t, { another }) => t.replace(cipherOf(t, 'secretAccessKey'), cipherOf(another, 'secretAccessKey')),
  },
  { line: 'a missing MAC', sops: 'refuses', refusedBy: 'lint', make: (t) => t.replace(/\n {4}mac: .*/, '') },
  {
    line: 'an empty MAC',
    sops: 'refuses',
    refusedBy: 'lint',
    make: (t) => t.replace(/\n {4}mac: .*/, '\n    mac: ""'),
  },
  {
    line: 'a changed lastmodified',
    sops: 'refuses',
    refusedBy: 'key',
    make: (t) => t.replace(/lastmodified: "\d{4}/, 'lastmodified: "2031'),
  },
  // The strict reader, point 1
  {
    line: '1 exactly one document',
    sops: 'passes',
    refusedBy: 'lint',
    make: (_, { withPlain }) => withPlain((p) => `${p}---\nkind: x\n`),
  },
  {
    line: '1 no tags',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('type: s3', 'type: !!str s3'),
  },
  {
    line: '1 no anchors',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace('type: s3', 'type: &a s3'),
  },
  {
    line: '1 no aliases',
    sops: 'refuses',
    refusedBy: 'lint',
    make: (t) => t.replace('- eu-s3', '- &a eu-s3\n        - *a'),
  },
  { line: '1 no CR', sops: 'passes', refusedBy: 'lint', make: (t) => t.replaceAll('\n', '\r\n') },
  { line: '1 no BOM', sops: 'passes', refusedBy: 'lint', make: (t) => `\uFEFF${t}` },
  // Point 2
  {
    line: '2 key groups',
    sops: 'passes',
    refusedBy: 'lint',
    make: (_, { alice, eve, withRule }) =>
      withRule(
        `{encrypted_regex: ^data$, shamir_threshold: 2, key_groups: [{age: [${alice.recipient}]}, {age: [${eve.recipient}]}]}`,
      ),
  },
  {
    line: '2 mac_only_encrypted',
    sops: 'passes',
    refusedBy: 'lint',
    make: (_, { alice, withRule }) =>
      withRule(`{encrypted_regex: ^data$, mac_only_encrypted: true, age: ${alice.recipient}}`),
  },
  ...[
    'unencrypted_suffix: _plain',
    'encrypted_suffix: Key',
    'unencrypted_regex: ^(kind|apiVersion|metadata|spec)$',
    'encrypted_regex: ^da',
    'encrypted_comment_regex: secret',
    'unencrypted_comment_regex: made',
  ].map(
    (selection): Row => ({
      line: `2 ${selection}`,
      sops: 'passes',
      refusedBy: 'lint',
      make: (_, { alice, withRule }) => withRule(`{${selection}, age: ${alice.recipient}}`),
    }),
  ),
  // Point 3: as a set above; one stanza each
  {
    line: '3 a recipient twice',
    sops: 'passes',
    refusedBy: 'lint',
    make: (t) => t.replace(/( {8}- enc: \|\n[\s\S]*?recipient: age1.*\n)/, '$1$1'),
  },
  { line: '3 a second stanza in one entry', sops: 'passes', refusedBy: 'lint', make: hiddenReader },
  // Point 4
  {
    line: '4 nested data',
    sops: 'passes',
    refusedBy: 'lint',
    make: (_, { withPlain }) => withPlain((p) => `${p}  deep: {er: x}\n`),
  },
  {
    line: '4 an odd key',
    sops: 'passes',
    refusedBy: 'lint',
    make: (_, { withPlain }) => withPlain((p) => `${p}  "a b": x\n`),
  },
  {
    line: '4 a number',
    sops: 'passes',
    refusedBy: 'lint',
    make: (_, { withPlain }) => withPlain((p) => `${p}  port: 12\n`),
  },
  {
    line: '4 base64 that is not canonical',
    sops: 'passes',
    refusedBy: 'lint',
    // The last letter has four bits that count for nothing.
    make: (t) =>
      t.replace(
        /tag:([^,]{21})(.)==/,
        (_, head: string, last: string) => `tag:${head}${String.fromCharCode(last.charCodeAt(0) + 1)}==`,
      ),
  },
];

/** The data key of the first entry, encrypted to its reader and to somebody who is listed nowhere. */
async function hiddenReader(text: string, { alice, eve }: Others): Promise<string> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(alice.identity);
  const entry =
    new RegExp(`enc: \\|\\n((?:(?!enc:)[\\s\\S])*?)\\n +recipient: ${alice.recipient}`).exec(text)?.[1] ?? '';
  const dataKey = await decrypter.decrypt(armor.decode(entry.replaceAll(/^ +/gm, '')));
  const encrypter = new Encrypter();
  for (const { recipient } of [alice, eve]) encrypter.addRecipient(recipient);
  const made = armor.encode(await encrypter.encrypt(dataKey)).trim();
  return text.replace(entry, made.replaceAll(/^/gm, ' '.repeat(12)));
}

describeWith(['sops'], 'each line of what SOPS protects and does not', () => {
  const folder = tempFolder('tampering');
  let others: Others;
  let bob: KeyPair;
  let text: string;
  let now: string;

  beforeAll(async () => {
    const [alice, other, eve] = await Promise.all([keyPair(), keyPair(), keyPair()]);
    bob = other;
    const older = await encrypt(folder, [alice, bob]);
    // lastmodified has whole seconds.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    text = await encrypt(folder, [alice, bob]);
    const another = await encrypt(folder, [alice, bob]);
    now = /lastmodified: "(.*)"/.exec(text)?.[1] ?? '';
    others = {
      ...{ alice, eve, another, older },
      withPlain: (change) => encrypt(folder, [alice, bob], change(plainCredential)),
      withRule: async (rule, plain = plainCredential) => {
        using home = tempFolder('tampering-rule');
        writeFileSync(home.join('.sops.yaml'), `creation_rules: [${rule}]`);
        writeFileSync(home.join('plain.yaml'), plain);
        const { code, stdout, stderr } = await sops(home, [alice], 'encrypt', 'plain.yaml');
        if (code !== 0) throw new Error(stderr);
        return stdout;
      },
    };
  });
  afterAll(() => folder.remove());

  /** Who refuses a text first: without a key, with it, by what is beside the file. */
  async function refuserOf(content: string): Promise<Refuser> {
    const { alice } = others;
    const lint = (recipients: readonly string[] | null) =>
      lintCredentialFile({ file: 'x.sops.yaml', text: content, recipients });
    if (lint(null).length > 0) return 'lint';
    const identities = await identitiesOf(alice);
    const opened = await openCredentialFile({ file: 'x.sops.yaml', text: content, identities }).catch(
      (error: unknown) => {
        if (!isGranaryError(error)) throw error;
        return null;
      },
    );
    if (opened === null) return 'key';
    if (lint([alice.recipient, bob.recipient]).length > 0) return 'rule';
    if (diagnoseFile({ file: 'x.sops.yaml', text: content }).length > 0) return 'schema';
    using state = tempFolder('tampering-state');
    const remembered = new RememberedCredentials(state.path);
    await remembered.accept('eu-minio-key', 'x.sops.yaml', now);
    const isOld = await remembered.check(opened.name ?? '', 'x.sops.yaml', opened.lastModified).then(
      () => false,
      () => true,
    );
    return isOld ? 'state' : 'nobody';
  }

  test('the file itself passes everywhere', async () => {
    expect(await refuserOf(text)).toBe('nobody');
    expect((await sopsOpens(folder, [others.alice], text)).code).toBe(0);
  });

  test.each(rows)('$line: sops $sops, refused by $refusedBy', async ({ sops: expected, refusedBy, make }) => {
    const tampered = await make(text, others);
    expect(tampered).not.toBe(text);
    const { code } = await sops(folder, [others.alice, others.eve], 'decrypt', write(tampered));
    expect(code === 0 ? 'passes' : 'refuses').toBe(expected);
    expect(await refuserOf(tampered)).toBe(refusedBy);
  });

  function write(content: string): string {
    const path = folder.join('tampered.yaml');
    writeFileSync(path, content);
    return path;
  }
});
