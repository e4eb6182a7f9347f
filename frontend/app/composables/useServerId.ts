import { computed } from 'vue'

/** The server id in the URL (`/servers/1`); `null` if there is none. */
export function useServerId() {
  const route = useRoute()
  return computed(() => {
    const id = Number(route.name === 'servers-id' && 'id' in route.params ? route.params.id : NaN)
    return Number.isInteger(id) && id > 0 ? id : null
  })
}
