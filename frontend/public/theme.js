// Sets the theme before the first paint. `useTheme` keeps it up to date afterwards.
(function () {
  var choice = 'system'
  try {
    choice = localStorage.getItem('bongsu.theme') || 'system'
  }
  catch (_) { /* storage is blocked: follow the system */ }
  var dark = choice === 'dark' || (choice !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.classList.add(dark ? 'dark' : 'light')
})()
