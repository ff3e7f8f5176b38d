/** Names for new objects: allowed ones, each once. */
import type { Kind } from '../../model/config.ts';
import { isDnsLabel } from '../../model/names.ts';

/** Gives out names; one that is taken gets something in front, or a number behind. */
export class NewNames {
  readonly #taken = new Set<string>();

  /**
   * @param wanted what it is called where it comes from
   * @param owner put in front where the name is taken: the seed's name, the namespace
   */
  take(kind: Kind, wanted: string, owner = ''): string {
    const names = [dnsLabel(wanted)];
    if (owner !== '') names.push(dnsLabel(`${owner}-${wanted}`));
    for (let number = 2; ; number += 1) {
      const name = names.shift() ?? `${dnsLabel(wanted).slice(0, 58)}-${number}`;
      if (this.#taken.has(`${kind}/${name}`)) continue;
      this.#taken.add(`${kind}/${name}`);
      return name;
    }
  }
}

/** The name as it is, or the nearest one that is allowed. */
export function dnsLabel(text: string): string {
  if (isDnsLabel(text)) return text;
  const label = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '');
  return label === '' ? 'unnamed' : label;
}
