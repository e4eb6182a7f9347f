import { computed, effectScope } from 'vue'
import type { Ref } from 'vue'
import * as format from '~/utils/format'
import type { ByteOptions, DisplayUnit } from '~/utils/format'
import { languageOf } from '~/utils/languages'
import type { Locale } from '~/utils/languages'

/** Of each language switch, of which an app has one: the table of the fleet has hundreds of components that format. */
const formatters = new WeakMap<object, ReturnType<typeof makeFormat>>()

/** The formatters of utils/format in the current language. */
export function useFormat() {
  const { locale } = useI18n()
  let found = formatters.get(locale)
  if (!found) {
    // In a scope that outlives the component that happens to be the first.
    found = effectScope(true).run(() => makeFormat(locale, useTimeZone().zone))!
    formatters.set(locale, found)
  }
  return found
}

function makeFormat(locale: Readonly<Ref<string>>, zone: Readonly<Ref<string | undefined>>) {
  const code = computed<Locale>(() => languageOf(locale.value).code)
  type Value = number | null | undefined
  return {
    locale: code,
    bytes: (value: Value, options?: ByteOptions) => format.formatBytes(value, code.value, options),
    byteRate: (value: Value) => format.formatByteRate(value, code.value),
    bitRate: (value: Value) => format.formatBitRate(value, code.value),
    percent: (value: Value) => format.formatPercent(value, code.value),
    share: (value: Value) => format.formatShare(value, code.value),
    number: (value: Value) => format.formatNumber(value, code.value),
    rate: (value: Value) => format.formatRate(value, code.value),
    unit: (value: Value, unit: DisplayUnit) => format.formatUnit(value, unit, code.value),
    baseUnit: (value: Value, unit: string, isRate: boolean) => format.formatBaseUnit(value, unit, isRate, code.value),
    delta: (value: number, unit: DisplayUnit) => format.formatDelta(value, unit, code.value),
    duration: (seconds: Value) => format.formatDuration(seconds, code.value),
    relative: (timeMs: Value, nowMs: number) => format.formatRelative(timeMs, nowMs, code.value),
    span: (startMs: number, endMs: number) => format.formatTimeSpan(startMs, endMs, code.value, zone.value),
    day: (timeMs: number) => format.formatDay(timeMs, code.value, zone.value),
    exact: (timeMs: Value) => format.formatExactTime(timeMs, code.value, zone.value),
  }
}
