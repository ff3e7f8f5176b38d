/** Keys as the API server of Kubernetes writes them: `/registry/pods/default/web-1`. */

export interface KubernetesKey {
  /** `apps.example.com`; null where the key has none, as for most of Kubernetes' own resources. */
  readonly group: string | null;
  /** In the plural, as the API names it: `pods`. */
  readonly resource: string;
  /** `Pod`; null where the key does not tell, as for custom resources. */
  readonly kind: string | null;
  /** null: the object belongs to no namespace. */
  readonly namespace: string | null;
  readonly name: string;
}

/** Resources whose place in etcd is not called as in the API. */
const otherNames: Readonly<Record<string, string>> = {
  minions: 'nodes',
  controllers: 'replicationcontrollers',
  'services/specs': 'services',
  'services/endpoints': 'endpoints',
  ingress: 'ingresses',
};

const kinds: Readonly<Record<string, string>> = {
  apiservices: 'APIService',
  certificatesigningrequests: 'CertificateSigningRequest',
  clusterrolebindings: 'ClusterRoleBinding',
  clusterroles: 'ClusterRole',
  configmaps: 'ConfigMap',
  controllerrevisions: 'ControllerRevision',
  cronjobs: 'CronJob',
  csidrivers: 'CSIDriver',
  csinodes: 'CSINode',
  customresourcedefinitions: 'CustomResourceDefinition',
  daemonsets: 'DaemonSet',
  deployments: 'Deployment',
  endpoints: 'Endpoints',
  endpointslices: 'EndpointSlice',
  events: 'Event',
  flowschemas: 'FlowSchema',
  horizontalpodautoscalers: 'HorizontalPodAutoscaler',
  ingresses: 'Ingress',
  ingressclasses: 'IngressClass',
  jobs: 'Job',
  leases: 'Lease',
  limitranges: 'LimitRange',
  mutatingwebhookconfigurations: 'MutatingWebhookConfiguration',
  namespaces: 'Namespace',
  networkpolicies: 'NetworkPolicy',
  nodes: 'Node',
  persistentvolumeclaims: 'PersistentVolumeClaim',
  persistentvolumes: 'PersistentVolume',
  poddisruptionbudgets: 'PodDisruptionBudget',
  pods: 'Pod',
  podtemplates: 'PodTemplate',
  priorityclasses: 'PriorityClass',
  prioritylevelconfigurations: 'PriorityLevelConfiguration',
  replicasets: 'ReplicaSet',
  replicationcontrollers: 'ReplicationController',
  resourcequotas: 'ResourceQuota',
  rolebindings: 'RoleBinding',
  roles: 'Role',
  secrets: 'Secret',
  serviceaccounts: 'ServiceAccount',
  services: 'Service',
  statefulsets: 'StatefulSet',
  storageclasses: 'StorageClass',
  validatingadmissionpolicies: 'ValidatingAdmissionPolicy',
  validatingwebhookconfigurations: 'ValidatingWebhookConfiguration',
  volumeattachments: 'VolumeAttachment',
};

/**
 * Reads `/registry/RESOURCE[/NAMESPACE]/NAME` and `/registry/GROUP/RESOURCE[/NAMESPACE]/NAME`, of OpenShift also what
 * begins with `/kubernetes.io/` and `/openshift.io/`; undefined for any other key. A group has a dot, a resource none.
 */
export function parseKubernetesKey(key: string): KubernetesKey | undefined {
  const [, rest] = /^\/(?:registry|kubernetes\.io|openshift\.io)\/(.+)$/s.exec(key) ?? [];
  const parts = rest?.split('/') ?? [];
  if (parts.some((part) => part === '')) return undefined;
  const group = parts.length > 2 && parts[0]?.includes('.') ? (parts.shift() ?? null) : null;
  const first = parts.shift() ?? '';
  // `services/specs/default/web`: the only resources with a name of two parts.
  const place = first === 'services' && parts.length === 3 ? `${first}/${parts.shift()}` : first;
  const name = parts.pop();
  const namespace = parts.pop() ?? null;
  if (name === undefined || parts.length > 0) return undefined;
  const resource = otherNames[place] ?? place;
  // A custom resource may be called like one of Kubernetes' own, and be something else.
  const isOwn = group === null || group.endsWith('.k8s.io');
  return { group, resource, kind: (isOwn ? kinds[resource] : undefined) ?? null, namespace, name };
}

/** The kind, or where the key does not tell it `widgets.example.com`, as kubectl takes it. */
export function kindOf({ group, resource, kind }: KubernetesKey): string {
  return kind ?? (group === null ? resource : `${resource}.${group}`);
}

/**
 * What keys are counted by: of Kubernetes up to the resource, of others up to the second slash (the first one at the
 * start aside), and what has none all together under the empty prefix.
 */
export function groupingPrefix(key: string): string {
  const object = parseKubernetesKey(key);
  if (object !== undefined) {
    const own = object.namespace === null ? object.name : `${object.namespace}/${object.name}`;
    return key.slice(0, key.length - own.length);
  }
  const [prefix = ''] = /^\/?(?:[^/]+\/){1,2}/.exec(key) ?? [];
  return prefix;
}
