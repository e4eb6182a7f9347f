import type { ServerEvent } from '~/api/events'
import { SECOND_MS } from '~/utils/units'

/** Turns an event into a sentence in the current language. Types without a translation show their name. */
export function useEventText(): (event: ServerEvent) => string {
  const { t, te } = useI18n()
  const format = useFormat()
  return ({ type, rule_name: rule, severity, before, after }) => {
    if (!te(`events.type.${type}`) && type !== 'clock_jumped') return type
    if (type === 'clock_jumped') {
      const jumpMs = Number(after) - Number(before)
      const change = format.duration(Math.abs(jumpMs) / SECOND_MS)
      return jumpMs < 0 ? t('events.clockBack', { change }) : t('events.clockForward', { change })
    }
    return t(`events.type.${type}`, {
      rule,
      severity: severity ? t(`events.severity.${severity}`) : '',
      before,
      after: type === 'rebooted' ? format.exact(after === '' ? null : Number(after)) : after,
    })
  }
}
