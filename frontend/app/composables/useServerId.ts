import { computed } from 'vue'

const PAGES = ['servers-id', 'containers-id-name']

/** The server id in the URL (`/servers/1`, `/containers/1/web`); `null` if there is none. */
export function useServerId() {
  const route = useRoute()
  return computed(() => {
    const id = Number(PAGES.includes(String(route.name)) && 'id' in route.params ? route.params.id : NaN)
    return Number.isInteger(id) && id > 0 ? id : null
  })
}
