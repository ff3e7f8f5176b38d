/** Tables of what is configured. */
import type { Desired } from '../model/config.ts';
import { urlOf } from '../model/place.ts';
import { formatTime } from '../model/units.ts';
import type { Column } from './table.ts';

export interface FieldColumn extends Column {
  readonly field: string;
  /** How a text of this field stands in the table; default: as it is. */
  readonly shorten?: (text: string) => string;
}

export interface Listing {
  readonly columns: readonly FieldColumn[];
  readonly items: readonly Readonly<Record<string, unknown>>[];
}

/** What is known of one destination beside what stands in Git. */
export interface DestinationFacts {
  readonly destination: string;
  readonly readiness: string;
  /** RFC 3339. */
  readonly probedAt: string | null;
  readonly detail: string | null;
}

export type ConfiguredKind = 'seeds' | 'clusters' | 'destinations' | 'policies';

/** Rows for `get seeds|clusters|destinations|policies`: what stands in Git, and how ready destinations are said to be. */
export function configuredRows(
  kind: ConfiguredKind,
  { configuration, assignments }: Desired,
  seed: string | undefined,
  readiness: readonly DestinationFacts[] = [],
): Listing {
  const seeds = configuration.seeds.filter(({ name }) => seed === undefined || name === seed);
  const of = (...fields: string[]) => fields.map((field) => ({ field, title: title(field), least: 8 }));
  switch (kind) {
    case 'seeds':
      return {
        columns: of('name', 'displayName', 'organization', 'clusters', 'defaultDestination', 'backup'),
        items: seeds.map((one) => ({
          name: one.name,
          displayName: one.displayName,
          organization: one.organization,
          projects: one.projects,
          enabled: one.enabled,
          clusters: one.clusters.length,
          defaultDestination: one.defaultDestination,
          backup: one.enabled
            ? seedState(assignments.filter(({ seed: owner }) => owner.name === one.name))
            : 'off: the seed is disabled',
        })),
      };
    case 'clusters':
      return {
        columns: of('id', 'enabled', 'endpoints', 'policies', 'destinations', 'backup'),
        items: seeds.flatMap((owner) =>
          owner.clusters.map((cluster) => {
            const own = assignments.filter(
              (one) => one.seed.name === owner.name && one.cluster.name === cluster.name,
            );
            const destinations = own.flatMap((one) =>
              one.destinations.map(({ destination }) => destination.name),
            );
            return {
              id: `${owner.name}/${cluster.name}`,
              seed: owner.name,
              cluster: cluster.name,
              enabled: cluster.enabled && owner.enabled,
              endpoints: cluster.endpoints,
              policies: own.map(({ policy }) => policy.name),
              destinations: [...new Set(destinations)],
              backup: backupState(own.map(({ skipped }) => skipped)),
            };
          }),
        ),
      };
    case 'destinations':
      return {
        columns: [
          ...of('name', 'location'),
          { field: 'readiness', title: 'READY', least: 8 },
          { field: 'probedAt', title: 'PROBED', shorten: minuteOf },
          ...of('organization', 'seeds', 'credential', 'default', 'locked'),
        ],
        items: configuration.destinations
          .filter(({ seeds: served }) => seed === undefined || served === null || served.includes(seed))
          .map((one) => ({
            name: one.name,
            displayName: one.displayName,
            provider: one.provider,
            location: urlOf(one),
            ...readinessFields(readiness.find(({ destination }) => destination === one.name)),
            seeds: one.seeds ?? ['all'],
            organization: one.organization,
            projects: one.projects,
            credential: one.credential,
            useInstanceRole: one.useInstanceRole,
            default: one.default,
            locality: one.locality,
            locked: one.locked,
          })),
      };
    case 'policies':
      return {
        columns: of('name', 'schedule', 'timeZone', 'suspend', 'destinations', 'encrypted', 'clusters'),
        items: configuration.policies.map(({ name, schedule, suspend, destinations, recipients }) => ({
          name,
          schedule: schedule.cron,
          timeZone: schedule.timeZone,
          suspend,
          destinations: destinations?.map((one) => one.name) ?? ['the seed’s'],
          encrypted: recipients.length > 0,
          clusters: assignments.filter((one) => one.policy.name === name).length,
        })),
      };
  }
}

function readinessFields(found: DestinationFacts | undefined) {
  const { readiness = 'unknown', probedAt = null, detail = null } = found ?? {};
  return { readiness, probedAt, readinessDetail: detail };
}

/** `2026-11-21 14:00 UTC`, of an RFC 3339 time. */
function minuteOf(time: string): string {
  return time === '' ? '' : formatTime(new Date(time));
}

/** Of the clusters of a seed: on where any is backed up, and how many are not. */
function seedState(assignments: Desired['assignments']): string {
  const states = [...Map.groupBy(assignments, ({ cluster }) => cluster.name).values()].map((own) =>
    backupState(own.map(({ skipped }) => skipped)),
  );
  const [off] = states.filter((state) => state !== 'on');
  if (off === undefined) return states.length === 0 ? 'off: no policy' : 'on';
  return states.includes('on') ? `on, but for ${states.filter((state) => state !== 'on').length}` : off;
}

function backupState(skipped: readonly (string | null)[]): string {
  if (skipped.length === 0) return 'off: no policy';
  return skipped.includes(null) ? 'on' : `off: ${skipped[0]}`;
}

function title(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => ` ${letter}`).toUpperCase();
}

const column = (field: string): FieldColumn => ({ field, title: title(field), least: 6 });
/** `Ann <ann@acme.example>`: the name is enough to ask her. */
const nameOnly = (text: string): string => text.replace(/ <[^<>]*>$/, '');

/** Of `get credentials`. */
export const credentialColumns: readonly FieldColumn[] = [
  { field: 'name', title: 'ID' },
  ...['organization', 'accessKeyId', 'endpoints', 'displayName', 'usedBy'].map(column),
  { ...column('createdBy'), shorten: nameOnly },
  { ...column('lastModifiedBy'), shorten: nameOnly },
  { field: 'locked', title: 'LOCKED' },
  { field: 'default', title: 'DEFAULT' },
];
