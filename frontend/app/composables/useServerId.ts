import { computed } from 'vue'

/** The server of the address, `/servers/1`; `null` when it names none. */
export function useServerId() {
  const route = useRoute()
  return computed(() => {
    const id = Number('id' in route.params ? route.params.id : NaN)
    return Number.isInteger(id) && id > 0 ? id : null
  })
}
