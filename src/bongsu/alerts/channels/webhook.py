"""Posts the message as signed JSON to any HTTP endpoint.

``X-Bongsu-Signature: sha256=<hex>`` is the HMAC-SHA256 of ``X-Bongsu-Timestamp``, a dot, and the body, with the
channel's secret. A receiver should compare it, and refuse time stamps that are more than a few minutes old. ``id`` is
the same for each attempt, so that a receiver can recognise a repeated message.
"""

import hashlib
import hmac
import json

from pydantic import Field, SecretStr

from bongsu.alerts.channels.base import Channel, ChannelConfig
from bongsu.alerts.channels.http import post
from bongsu.alerts.message import Message


class WebhookConfig(ChannelConfig):
    """The address, and the secret that signs requests."""

    destination = ("url",)

    url: SecretStr = Field(description="http(s)://...; never shown, because many URLs contain a token.")
    secret: SecretStr = Field(SecretStr(""), description="Signs each request; empty: requests are not signed.")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of ``X-Bongsu-Signature``."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def payload(message: Message) -> dict[str, object]:
    """The JSON body."""
    return {
        "id": message.id,
        "event": message.event.value,
        "severity": message.severity.value,
        "title": message.title,
        "summary": message.summary,
        "time_ms": message.time_ms,
        "labels": message.labels,
        "facts": [{"label": label, "value": value} for label, value in message.facts],
        "processes": [{"name": name, "cpu": cpu, "memory": memory} for name, cpu, memory in message.processes],
        "containers": [{"name": name, "cpu": cpu, "memory": memory} for name, cpu, memory in message.containers],
        "others": message.others,
        "url": message.url,
        "acknowledge_url": message.acknowledge_url,
        "runbook": message.runbook,
        "possibly_repeated": message.repeated,
    }


class WebhookChannel(Channel):
    """Posts JSON."""

    type = "webhook"
    Config = WebhookConfig

    async def send(self, message: Message) -> str:
        body = json.dumps(payload(message), ensure_ascii=False).encode()
        # Of this attempt: a receiver refuses stamps that are more than a few minutes old.
        timestamp = str(message.sent_ms // 1000)
        headers = {"Content-Type": "application/json", "X-Bongsu-Timestamp": timestamp, "User-Agent": "Bongsu"}
        secret = self._config.secret.get_secret_value()
        if secret:
            headers["X-Bongsu-Signature"] = sign(secret, timestamp, body)
        url = self._config.url.get_secret_value()
        return str((await post(self._http, url, vendor="webhook", content=body, headers=headers)).status)
