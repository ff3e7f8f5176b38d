/**
 * Clusters that did not answer when they were to be backed up. Nothing of theirs is removed until a backup succeeds: what
 * they have may be all that is left of them (reference "storage", "Retention, exactly", rule 7).
 */
import { GranaryError } from '../model/errors.ts';
import { type ClusterRef, formatClusterRef } from '../model/names.ts';
import type { ActionResult } from './action.ts';

const noAnswer = ['etcd-unreachable', 'etcd-no-member'] as const;

export class SilentClusters {
  readonly #names = new Set<string>();

  /** `seed/cluster` of each. */
  get names(): readonly string[] {
    return [...this.#names];
  }

  /** Takes what came of an action. True where a cluster has fallen silent, or answers again. */
  note({ action, outcome, error }: ActionResult): boolean {
    if (action.type !== 'backup') return false;
    const name = formatClusterRef(action);
    if (outcome !== 'failed') return this.#names.delete(name);
    if (error === null || !noAnswer.some((code) => code === error.code) || this.#names.has(name))
      return false;
    this.#names.add(name);
    return true;
  }

  /** Forgets what is not backed up any more. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of this.#names) if (!names.has(name)) this.#names.delete(name);
  }

  /** Before anything of a cluster is removed. @throws GranaryError `blocked` */
  readonly requireAnswer = (cluster: ClusterRef): void => {
    const name = formatClusterRef(cluster);
    if (!this.#names.has(name)) return;
    throw new GranaryError('blocked', `${name} did not answer, so nothing of it is removed`, {
      hint: `\`granary check ${name}\` says what is wrong`,
    });
  };
}
