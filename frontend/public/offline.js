// In the language of the dashboard, as far as its texts are here; tries again until Bongsu answers.
(function () {
  var HEALTH = new URL('api/health', document.currentScript.src)
  var TEXTS = {
    ko: {
      title: '봉수에 연결할 수 없습니다', text: '기기가 오프라인이거나 서버가 응답하지 않습니다. 응답하는 즉시 페이지가 저절로 열립니다.',
      retry: '다시 시도', since: '{time}부터',
    },
    de: {
      title: 'Bongsu ist nicht erreichbar',
      text: 'Dieses Gerät ist offline, oder der Server antwortet nicht. Die Seite öffnet sich von selbst, sobald er antwortet.',
      retry: 'Erneut versuchen', since: 'seit {time}',
    },
    es: {
      title: 'No se puede acceder a Bongsu',
      text: 'Este dispositivo no tiene conexión o el servidor no responde. La página se abrirá sola en cuanto responda.',
      retry: 'Reintentar', since: 'desde las {time}',
    },
    fr: {
      title: 'Bongsu est injoignable',
      text: 'Cet appareil est hors ligne, ou le serveur ne répond pas. La page s’ouvrira d’elle-même dès qu’il répondra.',
      retry: 'Réessayer', since: 'depuis {time}',
    },
    pt: {
      title: 'Não foi possível acessar o Bongsu',
      text: 'Este dispositivo está sem conexão ou o servidor não responde. A página abrirá sozinha assim que ele responder.',
      retry: 'Tentar novamente', since: 'desde {time}',
    },
    ja: {
      title: 'Bongsu に接続できません', text: '端末がオフラインか、サーバーが応答していません。応答があると、ページは自動的に開きます。',
      retry: '再試行', since: '{time} から',
    },
    zh: {
      title: '无法连接 Bongsu', text: '此设备已离线，或服务器没有响应。一旦恢复响应，页面会自动打开。',
      retry: '重试', since: '自 {time} 起',
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
    return fetch(HEALTH, { cache: 'no-store' }).then(function () { location.reload() }, function () {})
  }
  document.getElementById('retry').addEventListener('click', retry)
  addEventListener('online', retry)
  setInterval(retry, RETRY_MS)
})()
