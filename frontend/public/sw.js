// Shows a page of its own when Bongsu cannot be reached. Everything else goes to the network: what a monitor shows must not be old.
// Other applications, and another Bongsu, may share the origin: each has its own path.
const BASE = new URL('.', self.location).pathname
const OURS = `bongsu-offline-${BASE}-`
const CACHE = `${OURS}2`
const PAGE = `${BASE}offline.html`
const FILES = [PAGE, ...['offline.css', 'offline.js', 'theme.js', 'favicon.svg'].map(name => BASE + name)]

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(CACHE).then(cache => cache.addAll(FILES.map(file => new Request(file, { cache: 'reload' })))).then(() => self.skipWaiting()))
})

self.addEventListener('activate', (event) => {
  event.waitUntil(caches.keys()
    .then(names => Promise.all(names.filter(name => (name.startsWith(OURS) && name !== CACHE) || name === 'bongsu-offline-1').map(name => caches.delete(name))))
    .then(() => self.clients.claim()))
})

self.addEventListener('fetch', (event) => {
  const { request } = event
  const path = new URL(request.url).pathname
  if (request.mode === 'navigate') {
    event.respondWith(fetch(request).catch(() => caches.match(PAGE)))
  }
  else if (path !== PAGE && FILES.includes(path)) {
    event.respondWith(fetch(request).catch(() => caches.match(request, { ignoreSearch: true })))
  }
})
