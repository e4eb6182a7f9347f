/** Ends the task in which the code was evaluated, before the router and all else start: together they would hold up the browser for too long. */
export default defineNuxtPlugin({
  name: 'turn',
  // Nuxt's own that come first have -20.
  order: -30,
  setup: () => new Promise<void>(resolve => setTimeout(resolve)),
})
