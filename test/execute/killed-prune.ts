/**
 * `prune --yes` in a process that kills itself, by SIGKILL, right before one of its calls of the store:
 * `node killed-prune.ts CONFIG NUMBER`. It ends with 0, and the number of its calls as the last line, where it makes fewer.
 */
import { planSeed } from '../../src/execute/plan.ts';
import { prune, removalPlan } from '../../src/execute/prune.ts';
import { openWorkspace } from '../../src/execute/workspace.ts';
import { openSource } from '../../src/git/source.ts';
import { loadIdentities } from '../../src/secrets/identities.ts';
import type { Store } from '../../src/store/store.ts';
import { passThrough } from '../../src/store/wrap/pass-through.ts';

const [config = '.', fatal = '0'] = process.argv.slice(2);
const { signal } = new AbortController();
let calls = 0;

function count(): void {
  calls += 1;
  if (calls === Number(fatal)) process.kill(process.pid, 'SIGKILL');
}

/** Every call counts, and is made only after it was counted. */
function counting(store: Store): Store {
  const counted =
    <A extends unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      count();
      return call(...args);
    };
  const { put, upload, get, head, list, delete: remove, abortStale, ...rest } = passThrough(store);
  return {
    ...rest,
    url: store.url,
    capabilities: store.capabilities,
    put: counted(put),
    upload: counted(upload),
    get: counted(get),
    head: counted(head),
    list: counted(list),
    delete: counted(remove),
    abortStale: counted(abortStale),
  };
}

const source = await openSource({ path: config }, { signal });
const identities = await loadIdentities({ files: [], env: {} });
await using workspace = await openWorkspace(source, { identities });
const { destinations } = workspace;
const stores = new Map<string, Store>();
const open = destinations.open.bind(destinations);
destinations.open = async (destination) => {
  const { name, store } = await open(destination);
  const known = stores.get(name) ?? counting(store);
  stores.set(name, known);
  return { name, store: known };
};
const planned = await planSeed(workspace, 'eu', { signal, now: new Date() });
const results = await prune(workspace, { ...planned, plan: removalPlan(planned.plan, {}) }, { signal });
for (const { action, outcome, error } of results)
  console.log(`${outcome} ${action.type} ${action.slot} ${error?.message ?? ''}`);
console.log(calls);
