import { execFileSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bundle, writeChunks } from '../../build/bundle.ts';
import { root } from '../house/repository.ts';
import { tempFolder } from '../servers/temp.ts';

test('ids and revisions of 64 bits keep all their digits in the built program', async () => {
  using folder = tempFolder('built');
  const { chunks } = await bundle({ protocol: 'src/etcd/protocol.ts' });
  writeChunks(folder.join('dist'), chunks);
  for (const name of ['schemas', 'package.json', 'node_modules'])
    symlinkSync(join(root, name), folder.join(name));
  writeFileSync(
    folder.join('main.js'),
    `import { hashKV } from './dist/cli/protocol.js';
     const odd = '9007199254740993';
     const [max, id] = ['9223372036854775807', '18446744073709551557'];
     const header = Buffer.from([0x0a, 0x15, 0x08, 0xc5, ...Array(8).fill(0xff), 0x01, 0x18, ...Array(8).fill(0xff), 0x7f]);
     const answer = hashKV.decode(header).header;
     const sent = hashKV.encode({ revision: odd }).toString('hex');
     console.log(JSON.stringify({ id: answer.clusterId === id, revision: answer.revision === max, sent }));`,
  );
  const stdout = execFileSync(process.execPath, [folder.join('main.js')], { encoding: 'utf8' });
  expect(JSON.parse(stdout)).toEqual({ id: true, revision: true, sent: '088180808080808010' });
});
