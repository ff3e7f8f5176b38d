/** What a rotation is about, and what it came to. */
import type { CredentialUses, RotationReport } from '../model/secrets.ts';
import { counted } from './text.ts';

/** As `secrets rotate -o json` gives it. */
export function rotationJson(report: RotationReport): string {
  return JSON.stringify(report, null, 2);
}

/** Before anything is tried: what changes, and who notices. */
export function rotationHead(
  name: string,
  file: string,
  changed: readonly string[],
  usedBy: CredentialUses,
): string {
  const lines = [
    ['credential', `${name} (${file}), new: ${changed.join(', ')}`],
    ['used by', usesInWords(usedBy) ?? 'nothing in this configuration'],
  ];
  const reached = [
    ...(usedBy.seeds.length === 0 ? [] : [named('seed', usedBy.seeds)]),
    ...(usedBy.policies.length === 0 ? [] : [named('policy', usedBy.policies)]),
  ];
  if (reached.length > 0) lines.push(['reaches', reached.join('; ')]);
  const untried = untriedInWords(usedBy);
  if (untried !== null) lines.push(['not tried', untried]);
  return lines.map(([title = '', text]) => `${title.padEnd(11)}${text}`).join('\n');
}

/** After it was tried. */
export function rotationEnd({ outcome, checks, file, next }: RotationReport): string {
  const tried = checks.length === 0 ? 'Nothing could be tried' : `The new values work at ${placesOf(checks)}`;
  const end = {
    'dry-run': `${tried}. Nothing was written; add --yes to do it.`,
    refused: 'Nothing was written: the new values do not work everywhere.',
    written: `${tried}. ${file} holds them now.`,
  }[outcome];
  return [end, ...next.map((step, index) => `${index === 0 ? 'next' : ''.padEnd(4)}       ${step}`)].join(
    '\n',
  );
}

/** `seed eu`, `policies hourly, nightly`. */
function named(what: string, names: readonly string[]): string {
  const plural = what.endsWith('y') ? `${what.slice(0, -1)}ies` : `${what}s`;
  return `${names.length === 1 ? what : plural} ${names.join(', ')}`;
}

function placesOf(checks: RotationReport['checks']): string {
  return checks.length === 1 ? (checks[0]?.name ?? '') : `all ${checks.length} places`;
}

function usesInWords({ destinations, clusters, coordination, notifications }: CredentialUses): string | null {
  const parts = [
    ...(destinations.length === 0 ? [] : [named('destination', destinations)]),
    ...(clusters.length === 0 ? [] : [named('cluster', clusters)]),
    ...(coordination.length === 0 ? [] : [`coordination of ${coordination.join(', ')}`]),
    ...(notifications === 0 ? [] : [counted(notifications, 'notification')]),
  ];
  return parts.length === 0 ? null : parts.join('; ');
}

/** What uses it and cannot be tried from here. */
function untriedInWords({ coordination, notifications }: CredentialUses): string | null {
  const parts = [
    ...(coordination.length === 0 ? [] : [`coordination of ${coordination.join(', ')}`]),
    ...(notifications === 0 ? [] : ['notifications']),
  ];
  return parts.length === 0 ? null : parts.join('; ');
}
