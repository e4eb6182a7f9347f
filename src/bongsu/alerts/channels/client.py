"""The HTTP client of channels. httpx takes 5 MB, so this is imported only to send."""

import urllib.request

import httpx

from bongsu.alerts.channels.addresses import Addresses


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connects only to addresses that are allowed. Where the environment names a proxy, the proxy connects, and may
    resolve names that are unknown here."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        # No connection is used again: connections are kept by address, and another name at the same address would get
        # one whose certificate was checked for the first name.
        self._limits = httpx.Limits(max_keepalive_connections=0)
        self._direct = httpx.AsyncHTTPTransport(limits=self._limits)
        self._proxies: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.raw_host.decode("ascii")
        proxy = self._proxy(request.url.scheme, host)
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        try:
            addresses = await self._addresses.resolve(host, port)
        except OSError:
            if proxy is None:
                raise httpx.ConnectError("the host is not known", request=request) from None
            addresses = []
        if proxy is not None:
            return await proxy.handle_async_request(request)
        url, problem = request.url, httpx.ConnectError("the host has no address", request=request)
        # The name is still what TLS checks, and what the header Host contains.
        request.extensions = {**request.extensions, "sni_hostname": host}
        for address in addresses:
            request.url = url.copy_with(host=address)
            try:
                return await self._direct.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                problem = httpx.ConnectError(str(error), request=request)
        raise problem

    def _proxy(self, scheme: str, host: str) -> httpx.AsyncHTTPTransport | None:
        proxies = urllib.request.getproxies()
        url = proxies.get(scheme) or proxies.get("all")
        if not url or urllib.request.proxy_bypass(host):
            return None
        if url not in self._proxies:
            self._proxies[url] = httpx.AsyncHTTPTransport(proxy=url, limits=self._limits)
        return self._proxies[url]

    async def aclose(self) -> None:
        for transport in (self._direct, *self._proxies.values()):
            await transport.aclose()


def guarded_client(addresses: Addresses) -> httpx.AsyncClient:
    """The HTTP client of channels."""
    return httpx.AsyncClient(transport=GuardedTransport(addresses))
