/** What cross rules see, and how they report. */
import type {
  Assignment,
  Credential,
  Destination,
  Kind,
  Policy,
  Repository,
  Seed,
} from '../../model/config.ts';
import type { CredentialDocument } from '../../model/generated/credential.ts';
import type { DestinationDocument } from '../../model/generated/destination.ts';
import type { PolicyDocument } from '../../model/generated/policy.ts';
import type { RepositoryDocument } from '../../model/generated/repository.ts';
import type { SeedDocument } from '../../model/generated/seed.ts';
import type { Finding, Source } from '../source.ts';

export type { Finding };

/** An object with what was written for it and where. */
export interface Sourced<Complete, Written> {
  readonly object: Complete;
  readonly written: Written;
  readonly source: Source;
  /** Where the fields of `written.spec` stand in the source: `/spec`, or `/spec/backup` of a Seed. */
  readonly spec: string;
}

export type SourcedSeed = Sourced<Seed, SeedDocument>;
export type SourcedDestination = Sourced<Destination, DestinationDocument>;
export type SourcedCredential = Sourced<Credential, CredentialDocument>;
export type SourcedPolicy = Sourced<Policy, PolicyDocument>;
export type SourcedRepository = Sourced<Repository, RepositoryDocument>;

export interface RuleContext {
  readonly seeds: readonly SourcedSeed[];
  readonly destinations: readonly SourcedDestination[];
  readonly credentials: readonly SourcedCredential[];
  readonly policies: readonly SourcedPolicy[];
  readonly repositories: readonly SourcedRepository[];
  /** Every document whose kind is known, also those too faulty to be among the above. */
  readonly sources: readonly Source[];
  readonly assignments: readonly Assignment[];
  /** Names that are there, also of documents too faulty to be completed. */
  readonly defined: Readonly<Record<Kind, ReadonlySet<string>>>;
  readonly now: Date;
  /**
   * Reports something about what a pointer names. It is dropped where the schema has already found a fault at, above
   * or below that place: it would be a consequence of it.
   */
  report(source: Source, pointer: string, finding: Finding): void;
}

export type Rule = (context: RuleContext) => void;
