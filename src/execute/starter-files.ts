/** The files of a new configuration repository. Each teaches what people change first; `explain` has the rest. */
import { readFileSync } from 'node:fs';

/** The workflow that is told of in `examples/ci`, and tested there: it comes with the package as it stands. */
const workflow = new URL('../../examples/ci/github.yaml', import.meta.url);

export interface StarterOptions {
  /** Public half of the repository's key. */
  readonly recipient: string;
  /** Absolute path of the folder that backups go to. */
  readonly backups: string;
  /** The seed that is there already, and its file; without it an example to be changed. */
  readonly seed?: { readonly name: string; readonly yaml: string } | undefined;
}

/** Content by path in the repository; the private key aside. */
export function starterFiles({ recipient, backups, seed }: StarterOptions): Readonly<Record<string, string>> {
  return {
    [`seeds/${seed?.name ?? 'example'}.yaml`]: seed?.yaml ?? exampleSeed,
    'destinations/local.yaml': destination(backups),
    'policies/hourly.yaml': policy(recipient, seed?.name ?? 'example'),
    '.sops.yaml': sopsRules(recipient),
    '.gitignore': ignored,
    '.github/workflows/granary.yaml': readFileSync(workflow, 'utf8'),
  };
}

const exampleSeed = `# A Seed is one place with etcd clusters, served by one agent.
# All fields: granary explain seed
apiVersion: granary.dev/v1
kind: Seed
metadata:
  name: example
spec:
  clusters:
    - name: etcd
      # Any number of members of the same cluster; the snapshot comes from a follower where there is one.
      endpoints: ["http://127.0.0.1:2379"]
      # With TLS: https:// above, and the files' places on the machine where Granary runs. These are kubeadm's.
      # tls:
      #   caFile: /etc/kubernetes/pki/etcd/ca.crt
      #   certFile: /etc/kubernetes/pki/etcd/healthcheck-client.crt
      #   keyFile: /etc/kubernetes/pki/etcd/healthcheck-client.key
`;

const destination = (backups: string) => `# A Destination is a bucket or folder that backups go to.
# All fields: granary explain destination
apiVersion: granary.dev/v1
kind: Destination
metadata:
  name: local
spec:
  provider: filesystem
  # Outside of this repository, so that no backup is ever committed. Granary does not create it: a disk that is not
  # mounted must be an error and no new folder. One disk is no disaster recovery: add a bucket before you rely on it.
  path: ${JSON.stringify(backups)}
`;

const policy = (
  recipient: string,
  seed: string,
) => `# A Policy says which clusters, when, to which destinations, how long and how encrypted.
# All fields: granary explain policy
apiVersion: granary.dev/v1
kind: Policy
metadata:
  name: hourly
spec:
  clusters:
    seeds: [${seed}]
  schedule:
    cron: "0 * * * *" # minute, hour, day of the month, month, day of the week
    timeZone: UTC
  destinations: [local]
  # A backup that any of these keeps stays. What it comes to in a year: granary simulate --help
  keep:
    last: 24
    daily: 7
    weekly: 5
    monthly: 12
  encryption:
    # Each of these keys opens the backups alone. With one, whoever loses it loses all backups: make a second with
    # \`age-keygen -o second.key\`, put its public half here, and lock the file away, far from this machine.
    recipients:
      - ${recipient} # age.key
`;

const sopsRules = (
  recipient: string,
) => `# For whom \`sops --encrypt --in-place FILE.sops.yaml\` encrypts credentials. Several keys: separate them by commas.
creation_rules:
  - path_regex: \\.sops\\.yaml$
    encrypted_regex: ^data$ # the names stay readable, the secret values do not
    age: ${recipient}
`;

const ignored = `# Private keys never go into Git.
*.key
`;
