/**
 * An age plugin that hides nothing, for sops to find on the PATH: it speaks the protocol of plugins (C2SP, age-plugin),
 * and its stanza is the file key with each byte turned over.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { bech32 } from '@scure/base';
import type { TempFolder } from '../servers/temp.ts';
import type { KeyPair } from './sops-tool.ts';

const script = `#!${process.execPath}
const lines = require('node:readline').createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (head, body = '') => process.stdout.write('-> ' + head + '\\n' + body + '\\n');
async function hear() {
  const head = (await lines.next()).value;
  let body = '';
  for (;;) {
    const line = (await lines.next()).value;
    body += line;
    if (line.length < 64) return { args: head.slice(3).split(' '), body };
  }
}
const turned = (body) => Buffer.from(Buffer.from(body, 'base64').map((byte) => byte ^ 255)).toString('base64').replace(/=+$/, '');
(async () => {
  const heard = [];
  do heard.push(await hear()); while (heard.at(-1).args[0] !== 'done');
  for (const { args, body } of heard) {
    if (args[0] === 'wrap-file-key') say('recipient-stanza 0 toy', turned(body));
    else if (args[0] === 'recipient-stanza' && args[2] === 'toy') say('file-key ' + args[1], turned(body));
    else continue;
    await hear();
  }
  say('done');
  process.exit(0);
})();
`;

/** Puts \`age-plugin-toy\` into a folder, and gives a key for it. */
export function installToyPlugin(folder: TempFolder): KeyPair {
  const path = folder.join('age-plugin-toy');
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  const words = bech32.toWords(new Uint8Array(16).fill(7));
  return {
    recipient: bech32.encode('age1toy', words),
    identity: bech32.encode('age-plugin-toy-', words).toUpperCase(),
  };
}
