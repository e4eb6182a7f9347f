/** How serious the usage of a limited resource is. The limits are fixed and do not depend on the alert rules. */
export type Level = 'ok' | 'warning' | 'critical'

type UsageKind = 'cpu' | 'memory' | 'swap' | 'filesystem'

// A full filesystem stops programs and heavy swapping slows them down, so both warn earlier than a busy CPU.
const LIMITS: Record<UsageKind, { warning: number, critical: number }> = {
  cpu: { warning: 0.85, critical: 0.95 },
  memory: { warning: 0.85, critical: 0.95 },
  swap: { warning: 0.6, critical: 0.9 },
  filesystem: { warning: 0.8, critical: 0.92 },
}

export function usageLevel(kind: UsageKind, ratio: number | null): Level {
  if (ratio === null) return 'ok'
  if (ratio >= LIMITS[kind].critical) return 'critical'
  return ratio >= LIMITS[kind].warning ? 'warning' : 'ok'
}

const LEVEL_ORDER: Record<Level, number> = { critical: 0, warning: 1, ok: 2 }

export function worstLevel(levels: readonly Level[]): Level {
  return levels.reduce((worst, level) => (levelOrder(level) < levelOrder(worst) ? level : worst), 'ok' as Level)
}

export function levelOrder(level: Level): number {
  return LEVEL_ORDER[level]
}
