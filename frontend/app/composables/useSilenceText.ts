import type { SilenceInfo } from '~/api/silences'
import { DAYS } from '~/utils/silences'
import { formatTags } from '~/utils/tags'

/** What a silence covers, and when, as texts. */
export function useSilenceText() {
  const { t } = useI18n()
  const format = useFormat()
  const servers = useServersStore()
  const nowMs = useNow()

  const titleOf = ({ silence }: SilenceInfo): string => silence.comment || t(`silences.kind.${silence.kind ?? 'silence'}`)

  function scopeOf({ silence: { scope, rules, severities, series } }: SilenceInfo): string {
    const parts = [
      ...(scope?.names ?? []),
      ...(scope?.servers ?? []).map(id => servers.get(id)?.name ?? `#${id}`),
      formatTags(scope?.tags ?? {}),
      (scope?.without_names ?? []).length > 0 ? t('silences.without', { names: scope!.without_names!.join(', ') }) : '',
    ].filter(Boolean)
    const alerts = [...(rules ?? []), ...(severities ?? []), series ?? ''].filter(Boolean)
    return [parts.join(', ') || t('explorer.allServers'), alerts.join(', ') || t('silences.allRules')].join(' · ')
  }

  function timeOf({ silence: { weekly, starts_ms: from, ends_ms: to } }: SilenceInfo): string {
    if (weekly) {
      const days = weekly.days ?? DAYS
      const names = days.length === DAYS.length ? t('silences.everyDay') : days.map(day => t(`silences.day.${day}`)).join(', ')
      return t('silences.weekly', { days: names, start: weekly.start, duration: weekly.duration, timezone: weekly.timezone ?? 'UTC' })
    }
    return to ? format.span(from || nowMs.value, to) : ''
  }

  return { titleOf, scopeOf, timeOf }
}
