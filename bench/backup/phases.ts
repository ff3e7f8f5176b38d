/**
 * One `granary backup` in a process of its own, which prints how much of its time the proof took after the last byte of
 * the snapshot had come: `node bench/backup/phases.ts DIST PATH POLICY`. The command line shows this to nobody; the
 * agent logs it as `proofMs`. What is proven while the snapshot still comes takes no time of its own.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface Phases {
  readonly proofMs: number;
  /** From the start of the process to the published backup. */
  readonly wholeMs: number;
}

const [dist = '', path = '', policy = ''] = process.argv.slice(2);
const at = (name: string) => import(pathToFileURL(join(dist, name)).href);
const { openSource }: typeof import('../../src/git/source.ts') = await at('git/source.js');
const { loadIdentities }: typeof import('../../src/secrets/identities.ts') =
  await at('secrets/identities.js');
const { openWorkspace, assignmentsOf }: typeof import('../../src/execute/workspace.ts') =
  await at('execute/workspace.js');
const { backupNow }: typeof import('../../src/execute/backup.ts') = await at('execute/backup.js');
const { RunNotes }: typeof import('../../src/agent/report.ts') = await at('agent/report.js');

const { signal } = new AbortController();
const identities = await loadIdentities({ files: [], env: process.env });
const source = await openSource({ path }, { signal });
await using workspace = await openWorkspace(source, { identities, signal });
const assignment = assignmentsOf(workspace.desired, 'bench', 'etcd').find(
  (one) => one.policy.name === policy,
);
if (assignment === undefined) throw new Error(`no policy ${policy}`);
const notes = new RunNotes();
const { onProgress } = notes;
const result = await backupNow(workspace, assignment, { signal, onProgress, now: new Date() });
if (result.outcome !== 'published') throw new Error(`not published: ${JSON.stringify(result)}`);
const { proofMs } = notes.fields();
console.log(JSON.stringify({ proofMs: Number(proofMs), wholeMs: performance.now() } satisfies Phases));
