"""/api/alerts/acknowledge: the page behind the link in a message. It needs no account: the token is for one alert."""

from html import escape
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection
from starlette.responses import HTMLResponse

from bongsu.alerts.alert import Alert
from bongsu.server.alerts.acknowledge import read_token
from bongsu.server.alerts.queries.alerts import acknowledge, find_alert
from bongsu.server.api.dependencies import ServicesDep, address_of
from bongsu.server.auth.audit import Actor, record

router = APIRouter(prefix="/api/alerts/acknowledge", tags=["alerts"])

Token = Annotated[str, Query(max_length=200, description="The token of the link.")]

# No scripts, no images, nothing from other hosts, and the URL with its token is never sent as a referrer.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>Bongsu</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root{{color-scheme:light dark}}
body{{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem}}
button{{font:inherit;font-weight:bold;padding:.75rem 1.5rem;border:0;border-radius:.5rem;background:#1d4ed8;color:#fff}}
</style></head><body><h1>{title}</h1><p>{text}</p>{form}</body></html>"""


def _page(title: str, text: str, form: str = "") -> HTMLResponse:
    return HTMLResponse(PAGE.format(title=escape(title), text=escape(text), form=form), headers=HEADERS)


@router.get(
    "", operation_id="show_acknowledge", summary="Show the page to acknowledge an alert", response_class=HTMLResponse
)
async def show(services: ServicesDep, token: Token) -> HTMLResponse:
    """Changes nothing, because mail scanners follow links. The page has a button that acknowledges the alert."""
    alert_id = read_token(services.vault, token, services.clock.now_ms())
    alert = await services.database.read(lambda connection: find_alert(connection, alert_id))
    title = f"{alert.rule_name}: {alert.server_name}"
    if alert.acknowledged_ms is not None or alert.state == "resolved":
        return _page(title, "이미 확인했거나 해소된 경보입니다. · This alert is already acknowledged or resolved.")
    form = f'<form method="post" action="?token={escape(token)}"><button>확인 처리 · Acknowledge</button></form>'
    return _page(title, alert.series, form)


@router.post(
    "", operation_id="acknowledge_by_link", summary="Acknowledge an alert by its link", response_class=HTMLResponse
)
async def acknowledge_by_link(services: ServicesDep, request: Request, token: Token) -> HTMLResponse:
    """Called by the button of the page. Ends repeats and escalation of the alert."""
    now_ms = services.clock.now_ms()
    alert_id = read_token(services.vault, token, now_ms)
    actor = Actor("link", "acknowledge link", address_of(request))

    def store(connection: Connection) -> Alert:
        # The button may be pressed again and again, by anybody with the link: only the first time changes anything.
        if find_alert(connection, alert_id).acknowledged_ms is None:
            record(connection, now_ms, actor, "alert.acknowledge", f"alert {alert_id}")
        return acknowledge(connection, alert_id, actor.actor, "", now_ms)

    alert = await services.database.write(store)
    return _page(f"{alert.rule_name}: {alert.server_name}", "확인 처리했습니다. · Acknowledged.")
