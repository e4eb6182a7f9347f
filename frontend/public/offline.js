// In the language of the dashboard, as far as its texts are here; tries again until Bongsu answers.
(function () {
  var TEXTS = {
    ko: {
      title: '봉수에 연결할 수 없습니다', text: '기기가 오프라인이거나 서버가 응답하지 않습니다. 응답하는 즉시 페이지가 저절로 열립니다.',
      retry: '다시 시도', since: '{time}부터',
    },
  }
  var RETRY_MS = 5000
  var cookie = /(?:^|; )bongsu_language=(\w+)/.exec(document.cookie)
  var language = (cookie ? cookie[1] : navigator.language).slice(0, 2)
  var texts = TEXTS[language] || { since: 'since {time}' }
  if (TEXTS[language]) document.documentElement.lang = language
  for (var id in texts) if (id !== 'since') document.getElementById(id).textContent = texts[id]
  document.getElementById('since').textContent = texts.since.replace('{time}', new Date().toLocaleTimeString(language))

  function retry() {
    // An error of the server is for the dashboard to show.
    return fetch('/api/health', { cache: 'no-store' }).then(function () { location.reload() }, function () {})
  }
  document.getElementById('retry').addEventListener('click', retry)
  addEventListener('online', retry)
  setInterval(retry, RETRY_MS)
})()
