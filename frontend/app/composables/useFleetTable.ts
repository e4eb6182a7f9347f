import { createColumnHelper, getCoreRowModel, getSortedRowModel, useVueTable } from '@tanstack/vue-table'
import type { ColumnSort } from '@tanstack/vue-table'
import { compareNames, compareProblems, compareValues } from '~/utils/fleet'
import type { FleetColumn, FleetRow } from '~/utils/fleet'

const column = createColumnHelper<FleetRow>()
const numeric = (id: FleetColumn, value: (row: FleetRow) => number | null) =>
  column.accessor(value, { id, sortDescFirst: true, sortingFn: (a, b, key) => compareValues(a.getValue(key), b.getValue(key)) })

const COLUMNS = [
  column.accessor(row => row.server.name, { id: 'name', sortDescFirst: false, sortingFn: (a, b) => compareNames(a.original.server, b.original.server) }),
  numeric('cpu', row => row.reading?.cpu ?? null),
  numeric('memory', row => row.reading?.memory ?? null),
  numeric('disk', row => row.reading?.disk ?? null),
  numeric('network', row => (row.reading?.receive == null ? null : row.reading.receive + (row.reading.transmit ?? 0))),
  // Beside each other, servers differ in cores.
  numeric('load', row => (row.reading?.load == null ? null : row.reading.load / Math.max(1, row.server.host.cpu_count))),
  numeric('temperature', row => row.reading?.temperature ?? null),
  column.accessor(row => row.server.agent_version, { id: 'agent', sortingFn: 'alphanumeric' }),
  numeric('seen', row => row.server.last_seen_ms),
]

/** The rows in order; without a sorted column, what is wrong comes first. */
export function useFleetTable(rows: () => FleetRow[], sort: () => ColumnSort | null) {
  return useVueTable({
    get data() {
      const current = rows()
      return sort() === null ? [...current].sort(compareProblems) : current
    },
    columns: COLUMNS,
    state: {
      get sorting() {
        const sorted = sort()
        return sorted === null ? [] : [sorted]
      },
    },
    getRowId: row => String(row.server.id),
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
  })
}
