import { describe, expect, it } from 'vitest'
import { kioskQuery, nextOf, readKiosk } from '~/utils/kiosk'

describe('dashboards that take turns', () => {
  it('are as the URL says', () => {
    expect(readKiosk({ kiosk: '3,5,8', every: '60' })).toEqual({ ids: [3, 5, 8], seconds: 60 })
    expect(readKiosk(kioskQuery({ ids: [2, 1], seconds: 15 }))).toEqual({ ids: [2, 1], seconds: 15 })
  })

  it('are none without ids, and leave out what is no id', () => {
    expect(readKiosk({})).toBeNull()
    expect(readKiosk({ kiosk: 'a,-1,0,1.5' })).toBeNull()
    expect(readKiosk({ kiosk: '4,x,4,9', every: '0' })).toEqual({ ids: [4, 9], seconds: 30 })
    expect(readKiosk({ kiosk: '4', every: '1e9' })?.seconds).toBe(30)
  })

  it('go round and round', () => {
    expect(nextOf([3, 5, 8], 5, 1)).toBe(8)
    expect(nextOf([3, 5, 8], 8, 1)).toBe(3)
    expect(nextOf([3, 5, 8], 3, -1)).toBe(8)
    expect(nextOf([3, 5], 99, 1)).toBe(3)
    expect(nextOf([3], 3, 1)).toBe(3)
  })
})
