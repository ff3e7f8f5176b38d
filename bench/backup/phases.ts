/**
 * One `granary backup` in a process of its own, which prints how much of its time the proof took after the last byte of
 * the snapshot had come: `node phases.js PATH POLICY`. The command line shows this to nobody; the agent
 * logs it as `proofMs`. What is proven while the snapshot still comes takes no time of its own.
 */
import { RunNotes } from '../../src/agent/report.ts';
import { backupNow } from '../../src/execute/backup.ts';
import { assignmentsOf, openWorkspace } from '../../src/execute/workspace.ts';
import { openSource } from '../../src/git/source.ts';
import { loadIdentities } from '../../src/secrets/identities.ts';

export interface Phases {
  readonly proofMs: number;
  /** The backup alone, from the first look at the destination to the published backup: what it takes in an agent. */
  readonly backupMs: number;
  /** From the start of the process to the published backup. */
  readonly wholeMs: number;
}

const [path = '', policy = ''] = process.argv.slice(2);
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
const began = performance.now();
const result = await backupNow(workspace, assignment, { signal, onProgress, now: new Date() });
if (result.outcome !== 'published') throw new Error(`not published: ${JSON.stringify(result)}`);
const { proofMs } = notes.fields();
const wholeMs = performance.now();
const phases: Phases = { proofMs: Number(proofMs), backupMs: wholeMs - began, wholeMs };
console.log(JSON.stringify(phases));
