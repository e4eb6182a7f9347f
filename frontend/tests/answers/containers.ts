// Containers of a server, as the API server answers.
export const NOW_MS = 1_790_000_040_000
const MIB = 1024 ** 2

export function container(name: string, more: object = {}): object {
  return {
    id: name.padEnd(12, '0').slice(0, 12), name, image: `${name}:1`, workload: name, runtime: 'docker', state: 'running', health: '', exit_code: 0, restarts: 0,
    oom_kills: 0, ports: '', cpu_ratio: 0.1, memory_bytes: 100 * MIB, memory_limit_bytes: 0, processes: 3,
    created_ms: NOW_MS - 7_200_000, started_ms: NOW_MS - 3_600_000, finished_ms: 0,
    namespace: '', pod: '', workload_kind: '', pod_phase: '', reason: '', cpu_request_cores: 0, cpu_limit_cores: 0, memory_request_bytes: 0, ...more,
  }
}

export const CONTAINERS = [
  container('shop-web-1', { image: 'nginx:1', workload: 'shop/web', cpu_ratio: 1.5, ports: '0.0.0.0:80->80/tcp', health: 'healthy' }),
  container('shop-db-1', { image: 'postgres:16', workload: 'shop/db', memory_bytes: 900 * MIB, memory_limit_bytes: 1024 * MIB, health: 'unhealthy' }),
  container('backup', { runtime: 'podman', state: 'exited', exit_code: 137, oom_kills: 2, finished_ms: NOW_MS - 60_000 }),
  container('old-job', { state: 'exited', exit_code: 0, finished_ms: NOW_MS - 600_000 }),
]

/** A container of a pod. */
export function podContainer(namespace: string, workload: string, pod: string, name: string, more: object = {}): object {
  return container(`${namespace}/${pod}/${name}`, {
    runtime: 'kubernetes', workload: `${namespace}/${workload}`, workload_kind: 'Deployment', namespace, pod, pod_phase: 'Running', health: 'healthy',
    cpu_request_cores: 0.25, cpu_limit_cores: 1, memory_request_bytes: 64 * MIB, memory_limit_bytes: 128 * MIB, ...more,
  })
}
