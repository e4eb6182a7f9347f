import { configureClient } from '~/api/client'

export default defineNuxtPlugin(() => configureClient(window.location.origin))
