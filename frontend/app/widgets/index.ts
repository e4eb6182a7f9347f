// Every widget: its file, and this registration.
import { defineAsyncComponent } from 'vue'
import type { Component } from 'vue'
import type { Widget } from '~/api/dashboards'
import Alerts from './alerts.vue'
import Chart from './chart.vue'
import Clock from './clock.vue'
import Gauge from './gauge.vue'
import Heatmap from './heatmap.vue'
import { STATISTIC_FIELD, emptySource } from './kinds'
import type { KnownType, WidgetKind, WidgetOf } from './kinds'
import Servers from './servers.vue'
import Stat from './stat.vue'
import Table from './table.vue'
import Top from './top.vue'

export const KINDS: { [T in KnownType]: WidgetKind<T> } = {
  chart: {
    type: 'chart',
    icon: 'i-lucide-chart-line',
    size: { w: 6, h: 5 },
    config: () => ({ source: emptySource(), drawing: 'lines', low: null, high: null, legend: true, compare: 'none', thresholds: [] }),
    fields: [
      { kind: 'source' },
      { kind: 'select', key: 'drawing', options: ['lines', 'area', 'stack', 'log'] },
      { kind: 'select', key: 'compare', options: ['none', 'day', 'week'] },
      { kind: 'number', key: 'low', empty: null },
      { kind: 'number', key: 'high', empty: null },
      { kind: 'flag', key: 'legend' },
      { kind: 'thresholds' },
    ],
  },
  stat: {
    type: 'stat',
    icon: 'i-lucide-hash',
    size: { w: 3, h: 3 },
    config: () => ({ source: { ...emptySource(), combine: 'avg' }, statistic: 'last', spark: true, thresholds: [] }),
    fields: [{ kind: 'source', single: true }, STATISTIC_FIELD, { kind: 'flag', key: 'spark' }, { kind: 'thresholds' }],
  },
  gauge: {
    type: 'gauge',
    icon: 'i-lucide-gauge',
    size: { w: 3, h: 3 },
    config: () => ({ source: { ...emptySource(), combine: 'avg' }, statistic: 'last', low: 0, high: 1, thresholds: [] }),
    fields: [
      { kind: 'source', single: true }, STATISTIC_FIELD,
      { kind: 'number', key: 'low', empty: 0 }, { kind: 'number', key: 'high', empty: 1 },
      { kind: 'thresholds' },
    ],
  },
  top: {
    type: 'top',
    icon: 'i-lucide-chart-bar-decreasing',
    size: { w: 4, h: 5 },
    config: () => ({ source: emptySource(), statistic: 'last', order: 'highest', count: 10, thresholds: [] }),
    fields: [
      { kind: 'source' }, STATISTIC_FIELD,
      { kind: 'select', key: 'order', options: ['highest', 'lowest'] },
      { kind: 'number', key: 'count', empty: 10, whole: true, most: 50 },
      { kind: 'thresholds' },
    ],
  },
  table: {
    type: 'table',
    icon: 'i-lucide-table',
    size: { w: 6, h: 6 },
    config: () => ({ source: { ...emptySource(), combine: 'max', by: 'server' }, statistic: 'last', count: 50 }),
    fields: [{ kind: 'source' }, STATISTIC_FIELD, { kind: 'number', key: 'count', empty: 50, whole: true, most: 500 }],
  },
  heatmap: {
    type: 'heatmap',
    icon: 'i-lucide-grid-3x3',
    size: { w: 6, h: 5 },
    config: () => ({ source: emptySource(), low: null, high: null, count: 40 }),
    fields: [{ kind: 'source' }, { kind: 'number', key: 'low', empty: null }, { kind: 'number', key: 'high', empty: null }, { kind: 'number', key: 'count', empty: 40, whole: true, most: 100 }],
  },
  servers: {
    type: 'servers',
    icon: 'i-lucide-server',
    size: { w: 4, h: 4 },
    config: () => ({ servers: { names: [], tags: [] }, wrong_only: false }),
    fields: [{ kind: 'servers' }, { kind: 'flag', key: 'wrong_only' }],
  },
  alerts: {
    type: 'alerts',
    icon: 'i-lucide-bell',
    size: { w: 4, h: 5 },
    config: () => ({ servers: { names: [], tags: [] }, severity: 'info', count: 20 }),
    fields: [{ kind: 'servers' }, { kind: 'select', key: 'severity', options: ['info', 'warning', 'critical'] }, { kind: 'number', key: 'count', empty: 20, whole: true, most: 100 }],
  },
  text: {
    type: 'text',
    icon: 'i-lucide-text',
    size: { w: 4, h: 3 },
    config: () => ({ markdown: '' }),
    fields: [{ kind: 'text', key: 'markdown', long: true }],
  },
  clock: {
    type: 'clock',
    icon: 'i-lucide-clock',
    size: { w: 2, h: 2 },
    config: () => ({ zone: '', seconds: false }),
    fields: [{ kind: 'text', key: 'zone' }, { kind: 'flag', key: 'seconds' }],
  },
}

// It brings a parser of Markdown, 41 KB of the 57 that all of them take.
const Text = defineAsyncComponent(() => import('./text.vue'))

export const WIDGETS: Record<KnownType, Component> = {
  chart: Chart, stat: Stat, gauge: Gauge, top: Top, table: Table, heatmap: Heatmap, servers: Servers, alerts: Alerts, text: Text, clock: Clock,
}
/** The version of the configs that are known. */
const VERSION = 1

export function isKnown(widget: Widget): widget is WidgetOf<KnownType> {
  return Object.hasOwn(KINDS, widget.type) && (widget.version ?? VERSION) === VERSION
}
