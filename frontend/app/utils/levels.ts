/** How a value is shown until the user's own alert rules decide it: fullness of something that ends. */
export type Level = 'ok' | 'warning' | 'critical'

export type UsageKind = 'cpu' | 'memory' | 'swap' | 'filesystem'

// A busy CPU or a used swap is no fault by itself, a full filesystem stops programs: hence the different limits.
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

const ORDER: Record<Level, number> = { critical: 0, warning: 1, ok: 2 }

export function worstLevel(levels: readonly Level[]): Level {
  return levels.reduce((worst, level) => (ORDER[level] < ORDER[worst] ? level : worst), 'ok' as Level)
}

export function levelOrder(level: Level): number {
  return ORDER[level]
}
