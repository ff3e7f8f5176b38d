/** All cross rules (design, section 2), in one list. */

import { aliasesStandAlone, azureNamesItsContainer, bucketNamesAreAllowed } from './buckets.ts';
import { etcdEndpointsAreUrls, tlsIsConsistent } from './clusters.ts';
import type { Rule } from './context.ts';
import { backupIsOn, policiesMatchSomething, skippedIsSaid } from './coverage.ts';
import {
  audienceFitsTheType,
  credentialsHaveTheirFile,
  dataFitsItsType,
  dataIsEncrypted,
} from './credentials.ts';
import { deprecatedBackupsAreSaid } from './deprecations.ts';
import {
  certificatesAreReadable,
  destinationsDoNotOverlap,
  oneWayToSignIn,
  storeEndpointsAreUrls,
} from './destinations.ts';
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
import { approvalsAreFresh, notificationsHaveATarget } from './repositories.ts';
import {
  defaultsAreOfStores,
  oneDefaultPerScope,
  projectsHaveAnOrganization,
  scopesAreKept,
  somethingIsElsewhere,
} from './scopes.ts';

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
  projectsHaveAnOrganization,
  oneDefaultPerScope,
  defaultsAreOfStores,
  scopesAreKept,
  bucketNamesAreAllowed,
  aliasesStandAlone,
  azureNamesItsContainer,
  oneWayToSignIn,
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
  somethingIsElsewhere,
  deprecatedBackupsAreSaid,
  approvalsAreFresh,
  notificationsHaveATarget,
];
