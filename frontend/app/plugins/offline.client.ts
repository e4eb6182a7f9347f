/** The page for when Bongsu cannot be reached; it also makes the dashboard installable. Browsers allow it on HTTPS and on this machine only. */
export default defineNuxtPlugin(() => {
  if (import.meta.dev || !('serviceWorker' in navigator)) return
  navigator.serviceWorker.register(`${useSite().path}/sw.js`).catch(() => {
    // A browser that forbids it, such as in some private windows: everything else works.
  })
})
