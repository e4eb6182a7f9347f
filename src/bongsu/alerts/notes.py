"""What Bongsu says of alerts and of itself, sentence by sentence, so that the dashboard can say it in other languages.

A note is a code and parameters. Its text is in English, for everybody who reads the API without the dashboard; the
dashboard has a translation of each code (``notes`` in ``frontend/i18n/locales``). Codes are stored and shown by older
and newer dashboards, so a code keeps its meaning and its parameters: what has a new meaning gets a new code.

The name of a parameter tells how its value is written:

- ``*_ms``: a time, ``*_seconds``: a duration, ``*_bytes``: a size
- ``*_id`` and ``status``: a number that is not grouped
- ``count``: a number that decides between the forms of a text, which `` | `` separates
- ``severity``, ``event``, ``kind``, ``service``: a word that has translations of its own
- other numbers are grouped, other texts are shown as they are
"""

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from bongsu.core.units import format_bytes, format_duration

Value = str | int | float


class Code(Enum):
    """The code of a sentence is its name in lower case; the value is the sentence in English."""

    # Why a notification is due, and to whom it goes.
    FIRES = "it fires"
    IS_RESOLVED = "it is resolved"
    NOT_ACKNOWLEDGED = "nobody acknowledged it for {after_seconds}"
    STILL_FIRES = "it still fires after {after_seconds}"
    TO_CHANNEL = "to {channel}"
    TO_CHANNEL_WITH_OTHERS = (
        "to {channel}, with {count} other in one message | to {channel}, with {count} others in one message"
    )

    # Why it is held back.
    SERVER_IS_DOWN = "the server is down: alert {alert_id} ({rule})"
    SILENCED = "{kind} {silence_id} until {until_ms}"
    SILENCED_BECAUSE = "{kind} {silence_id} until {until_ms}: {comment}"
    SENT_RECENTLY = "it was sent less than {window_seconds} ago"
    WAITS_FOR_GROUP = "it waits until {until_ms} for other alerts of its group"

    # Why a channel does not get it.
    CHANNEL_UNKNOWN = "{channel}: there is no such channel"
    CHANNEL_DISABLED = "{channel}: it is disabled"
    CHANNEL_WANTS_SEVERITY = "{channel}: it accepts only {severity} and above"
    CHANNEL_WANTS_NO_RESOLVED = "{channel}: it does not accept resolved alerts"
    NO_CHANNEL = "the rule names no channel and there is no default channel"

    # What became of it.
    ANSWERED = "{answer}"
    REPLACED = "a newer notification ({event}) replaces it"
    TRIES_AGAIN = "Attempt {attempt}; next attempt in {wait_seconds}."
    GAVE_UP = "after {count} attempt | after {count} attempts"
    RETRY_IN_VAIN = "a retry would not help"

    # Why it could not be sent.
    ALERTS_DELETED = "Its alerts have been deleted."
    CHANNEL_UNUSABLE = "The channel cannot be used: {problem}"
    SENDING_TOO_LONG = "Sending took longer than {limit_seconds}."
    SENDING_FAILED = "Sending failed: {problem}."
    NO_ANSWER = "{service} did not answer within {limit_seconds}."
    UNREACHABLE = "{service} cannot be reached: {problem}."
    UNREACHABLE_OR_REFUSED = "{service} cannot be reached, or refused the message."
    STATUS = "{service} answered {status}."
    STATUS_BECAUSE = "{service} answered {status}: {explanation}."
    ADDRESS_NOT_VALID = "The address for {service} is not valid."
    ADDRESS_REFUSED = (
        "The address is link-local or belongs to a cloud's metadata service; "
        "alert_allowed_addresses in the settings can allow it."
    )
    URL_UNKNOWN = "Apprise does not know this kind of URL, or the URL is incomplete."
    MAIL_REFUSED = "The mail server refused all recipients: {answer}"
    MAIL_ANSWERED = "The mail server answered {answer}"
    MAIL_TLS_FAILED = (
        "TLS with the mail server failed: its certificate is not trusted, or it does not speak TLS on this port."
    )
    MAIL_NO_ANSWER = "The mail server did not answer in time."
    MAIL_UNREACHABLE = "The mail server cannot be reached: {problem}"

    @property
    def parameters(self) -> set[str]:
        """The names of its parameters."""
        return set(re.findall(r"\{(\w+)\}", self.value))


_SERVICES = {"webhook": "The webhook", "sms": "The SMS service", "slack": "Slack", "discord": "Discord"}


def _english(name: str, value: Value) -> str:
    if isinstance(value, str):
        return _SERVICES.get(value, value) if name == "service" else value
    if name.endswith("_ms"):
        moment = dt.datetime.fromtimestamp(value / 1000, dt.UTC)
        return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
    if name.endswith("_seconds"):
        return format_duration(value)
    if name.endswith("_bytes"):
        return format_bytes(value)
    return str(value) if name.endswith("_id") or name == "status" else f"{value:,}"


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence for people."""

    code: str
    parameters: dict[str, Value]
    text: str


def note(code: Code, **parameters: Value) -> Note:
    """The note with this code and all of its parameters."""
    forms = code.value.split(" | ")
    text = forms[0] if parameters.get("count") == 1 else forms[-1]
    values = {name: _english(name, value) for name, value in parameters.items()}
    return Note(code.name.lower(), parameters, text.format(**values))


def joined(notes: Iterable[Note]) -> str:
    """Several notes as one English sentence."""
    return "; ".join(part.text for part in notes)


def encode_notes(notes: Iterable[Note]) -> list[Any]:
    """Notes as values for JSON, to be stored beside their text."""
    return [[part.code, part.parameters] for part in notes]


def decode_notes(stored: Iterable[Any]) -> list[Note]:
    """Stored notes. Empty if this version does not know one of them: then the stored text says it all."""
    notes = []
    for name, parameters in stored:
        code = Code.__members__.get(name.upper())
        if code is None or code.parameters != set(parameters):
            return []
        notes.append(note(code, **parameters))
    return notes
