import { mountSuspended } from '@nuxt/test-utils/runtime'
import { defineComponent, h, nextTick } from 'vue'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { useSlices } from '~/composables/useSlices'

const Page = defineComponent({
  setup() {
    const present = useSlices(3)
    return () => h('p', String(present.value))
  },
})

const painted: FrameRequestCallback[] = []
const realFrame = globalThis.requestAnimationFrame

beforeEach(() => {
  globalThis.requestAnimationFrame = vi.fn(callback => painted.push(callback))
})
afterEach(() => {
  globalThis.requestAnimationFrame = realFrame
})

async function paint(): Promise<void> {
  painted.splice(0).forEach(callback => callback(0))
  await new Promise(resolve => setTimeout(resolve))
  await nextTick()
}

it('adds one part of the first page after each paint, and has all parts of the next page at once', async () => {
  const first = await mountSuspended(Page)
  expect(first.text()).toBe('1')
  await paint()
  expect(first.text()).toBe('2')
  await paint()
  expect(first.text()).toBe('3')
  await paint()
  expect(first.text()).toBe('3')
  first.unmount()
  const next = await mountSuspended(Page)
  expect(next.text()).toBe('3')
  expect(painted).toEqual([])
})
