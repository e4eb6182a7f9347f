/** Where the dashboard is shown: the path, such as `/bongsu`, usually empty; and the URL, without a slash at its end. */
export function useSite(): { path: string, url: string } {
  const path = useRuntimeConfig().app.baseURL.replace(/\/$/, '')
  return { path, url: window.location.origin + path }
}
