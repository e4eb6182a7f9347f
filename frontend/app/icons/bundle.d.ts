/** Written by @nuxt/icon, without types. */
declare module '#build/nuxt-icon-client-bundle' {
  export interface BundledIcon { body: string, width: number, height: number }
  export function init(add: (name: string, icon: BundledIcon) => void): void
}
