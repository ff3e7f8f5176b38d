/**
 * A machine as runbooks find it: `granary`, etcd and its tools are the real ones; systemd, the kubelet, containers and
 * kubectl, which cannot be had in a test, are small programs that start and stop a real etcd.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { entry } from '../cli/entry.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';

export class Machine implements Disposable {
  readonly #folder = tempFolder('machine');

  constructor() {
    for (const name of ['bin', 'units', 'manifests', 'tmp']) mkdirSync(this.path(name));
    const units = this.path('units');
    this.#program('granary', `exec '${process.execPath}' '${entry}' "$@"`);
    this.#program(
      'systemctl',
      `pid=${units}/\${NAME:-kubelet}.pid
case "$1 $2" in
  "stop etcd") [ ! -e $pid ] || { kill $(cat $pid); while kill -0 $(cat $pid) 2>/dev/null; do sleep 0.1; done; rm $pid; } ;;
  "start etcd") nohup etcd $(cat ${units}/$NAME.flags) > ${units}/$NAME.log 2>&1 & echo $! > $pid ;;
  "restart kubelet") ;;
  *) exit 64 ;;
esac`,
    );
    this.#program('crictl', `[ ! -e ${units}/kubelet.pid ] || echo container`);
    this.#program('kubectl', `echo "kubectl $*" >> ${units}/kubectl.log`);
    // What lies in the folder runs, what does not is stopped.
    this.#program(
      'kubelet',
      `cd ${units}
while [ ! -e stop ]; do
  if [ -e "$1/etcd.yaml" ] && [ ! -e kubelet.pid ]; then
    nohup etcd $(sed -n 's/^ *- \\(--.*\\)/\\1/p' "$1/etcd.yaml") > kubelet.log 2>&1 & echo $! > kubelet.pid
  elif [ ! -e "$1/etcd.yaml" ] && [ -e kubelet.pid ]; then
    kill $(cat kubelet.pid); wait; rm kubelet.pid
  fi
  sleep 0.1
done`,
    );
  }

  path(...names: string[]): string {
    return this.#folder.join(...names);
  }

  /** The flags that the service of a member has. */
  addService(name: string, flags: readonly string[]): void {
    writeFileSync(this.path('units', `${name}.flags`), flags.join(' '));
  }

  get env(): Record<string, string> {
    const tools = [requireTool('etcd-3.6', 'etcd'), requireTool('age'), requireTool('zstd')].map(dirname);
    const { PATH = '' } = process.env;
    return {
      PATH: [this.path('bin'), ...tools, PATH].join(':'),
      HOME: this.#folder.path,
      TMPDIR: this.path('tmp'),
      NODE_COMPILE_CACHE: '',
    };
  }

  /** What went wrong, in the words of the etcds. */
  logs(): string {
    const units = this.path('units');
    const logs = readdirSync(units).filter((name) => name.endsWith('.log'));
    return logs
      .map((name) => `== ${name}\n${readFileSync(join(units, name), 'utf8').slice(-3_000)}`)
      .join('\n');
  }

  [Symbol.dispose](): void {
    writeFileSync(this.path('units', 'stop'), '');
    for (const name of readdirSync(this.path('units')).filter((each) => each.endsWith('.pid'))) {
      const file = this.path('units', name);
      if (!existsSync(file)) continue;
      try {
        process.kill(Number(readFileSync(file, 'utf8')), 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
    this.#folder.remove();
  }

  #program(name: string, text: string): void {
    const file = this.path('bin', name);
    writeFileSync(file, `#!/bin/bash\n${text}\n`);
    chmodSync(file, 0o755);
  }
}
