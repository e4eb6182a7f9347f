"""/api/alerts/acknowledge: the page behind the link in a message. It needs no account: the token is for one message."""

from collections.abc import Sequence
from html import escape
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection
from starlette.responses import HTMLResponse

from bongsu.alerts.alert import Alert
from bongsu.core.errors import NotFound
from bongsu.server.alerts.acknowledge import read_token
from bongsu.server.alerts.queries.alerts import acknowledge
from bongsu.server.alerts.queries.notifications import load_notified_alerts
from bongsu.server.api.dependencies import ServicesDep, address_of
from bongsu.server.auth.audit import Actor, record

router = APIRouter(prefix="/api/alerts/acknowledge", tags=["alerts"])

Token = Annotated[str, Query(max_length=200, description="The token of the link.")]

# Alerts that the page names.
MOST_NAMED = 10

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


def _title(alerts: Sequence[Alert]) -> str:
    return ", ".join(dict.fromkeys(f"{alert.rule_name}: {alert.server_name}" for alert in alerts[:MOST_NAMED])) + (
        f" (+{len(alerts) - MOST_NAMED})" if len(alerts) > MOST_NAMED else ""
    )


def _load(connection: Connection, notification_id: int) -> list[Alert]:
    alerts = load_notified_alerts(connection, notification_id)
    if not alerts:
        raise NotFound("The alerts of this link have been deleted.", code="unknown_alert", field="token")
    return alerts


def _open(alerts: Sequence[Alert]) -> list[Alert]:
    return [alert for alert in alerts if alert.acknowledged_ms is None and alert.state != "resolved"]


@router.get(
    "",
    operation_id="show_acknowledge",
    summary="Show the page to acknowledge the alerts of a message",
    response_class=HTMLResponse,
)
async def show(services: ServicesDep, token: Token) -> HTMLResponse:
    """Changes nothing, because mail scanners follow links. The page has a button that acknowledges the alerts."""
    notification_id = read_token(services.vault, token, services.clock.now_ms())
    alerts = await services.database.read(lambda connection: _load(connection, notification_id))
    waiting = _open(alerts)
    if not waiting:
        return _page(_title(alerts), "이미 확인했거나 해소된 경보입니다. · Already acknowledged or resolved.")
    form = f'<form method="post" action="?token={escape(token)}"><button>확인 처리 · Acknowledge</button></form>'
    return _page(_title(waiting), ", ".join(alert.series for alert in waiting[:MOST_NAMED]), form)


@router.post(
    "",
    operation_id="acknowledge_by_link",
    summary="Acknowledge the alerts of a message by its link",
    response_class=HTMLResponse,
)
async def acknowledge_by_link(services: ServicesDep, request: Request, token: Token) -> HTMLResponse:
    """Called by the button of the page. Ends repeats and escalation of all alerts of the message that still fire."""
    now_ms = services.clock.now_ms()
    notification_id = read_token(services.vault, token, now_ms)
    actor = Actor("link", "acknowledge link", address_of(request))

    def store(connection: Connection) -> list[Alert]:
        alerts = _load(connection, notification_id)
        for alert in _open(alerts):
            # The button may be pressed again and again, by anybody with the link: only the first time counts.
            record(connection, now_ms, actor, "alert.acknowledge", f"alert {alert.id}")
            acknowledge(connection, alert.id, actor.actor, "", now_ms)
        return alerts

    alerts = await services.database.write(store)
    return _page(_title(alerts), "확인 처리했습니다. · Acknowledged.")
