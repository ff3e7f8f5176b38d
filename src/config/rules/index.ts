/** All cross rules (design, section 2), in one list. */
import { etcdEndpointsAreUrls, tlsIsConsistent } from './clusters.ts';
import type { Rule } from './context.ts';
import { backupIsOn, policiesMatchSomething, skippedIsSaid } from './coverage.ts';
import {
  audienceFitsTheType,
  credentialsHaveTheirFile,
  dataFitsItsType,
  dataIsEncrypted,
} from './credentials.ts';
import { certificatesAreReadable, destinationsDoNotOverlap, storeEndpointsAreUrls } from './destinations.ts';
import { clusterNamesAreUnique, namesAreUnique, oneRepository, policyNamesAreFree } from './names.ts';
import {
  durationsAreInRange,
  keepsSomething,
  minimumCopiesCanBeReached,
  policyDestinationsAreDistinct,
  recipientsAreValid,
  schedulesAreValid,
} from './policies.ts';
import {
  credentialsFitTheirUsers,
  destinationsServeSeeds,
  namedClustersExist,
  referencesResolve,
} from './references.ts';

export const rules: readonly Rule[] = [
  namesAreUnique,
  clusterNamesAreUnique,
  policyNamesAreFree,
  oneRepository,
  referencesResolve,
  namedClustersExist,
  destinationsServeSeeds,
  credentialsFitTheirUsers,
  credentialsHaveTheirFile,
  dataIsEncrypted,
  dataFitsItsType,
  audienceFitsTheType,
  storeEndpointsAreUrls,
  certificatesAreReadable,
  destinationsDoNotOverlap,
  etcdEndpointsAreUrls,
  tlsIsConsistent,
  schedulesAreValid,
  keepsSomething,
  policyDestinationsAreDistinct,
  minimumCopiesCanBeReached,
  recipientsAreValid,
  durationsAreInRange,
  skippedIsSaid,
  backupIsOn,
  policiesMatchSomething,
];
