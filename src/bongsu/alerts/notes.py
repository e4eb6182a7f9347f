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
from typing import Annotated, Any

from pydantic import Field

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

    # Likely mistakes in a rule, and what its preview leaves out.
    SCOPE_EMPTY = "The scope covers no server at the moment."
    NO_MATCHING_SERIES = "No server in the scope sends a matching series."
    WINDOW_SHORT = "The window is shorter than the interval of a server in the scope, so it will often be empty."
    RULE_NAMES_NO_CHANNEL = "There is no channel '{channel}'."
    COUNTER_ONLY_RISES = "{metric} is a counter, which only rises; use rate or increase."
    GAUGE_FALLS = "{metric} is a gauge; rate and increase treat every fall as a counter reset."
    NOT_STORED = "{metric} is not stored, so the preview is empty."
    PREVIEW_THINNED = "For a range this long, the preview uses one sample every {step_seconds}, not all."

    # What a change of a channel means for rules.
    RULES_NAME_CHANNEL = (
        "Rules still name the channel '{channel}': {rules}. If none of the channels that they name is left, "
        "the default channels get their alerts."
    )
    NO_DEFAULT_CHANNEL = "There is no default channel: nobody gets the alerts of rules without a channel of their own."

    # Problems of Bongsu itself; these codes are those of the problems.
    WORKER_SILENT = "The worker does not run: nothing is sealed, rolled up or deleted, and no alert is evaluated."
    JOB_FAILING = "{job} fails: {error}"
    JOB_LATE = "{job} does not end its run."
    ITEMS_FAILING = "{job} fails for {count} of its items: {examples}"
    DATABASE_UNREADABLE = "The database cannot be read: {error}."
    DATABASE_DAMAGED = "A part of the database is damaged: bongsu db check lists what."
    DISK_NEARLY_FULL = "{free_bytes} are left on the disk of Bongsu's data."
    FEED_AWAY = "{bus} is away: what other API servers take in is seen here a second later, not at once."
    TOO_MANY_SERIES = (
        "{server} sends more than {limit} series: {count} are stored without a name. "
        "Does a label have a new value each time?"
    )
    ALERTS_UNKNOWN = "The state of the alerts cannot be read."
    ALERTS_NOT_EVALUATED = "Alerts are not evaluated. Is the worker running? Its log has the details."
    ALERTS_INCOMPLETE = "The evaluation of alerts left out: {subjects}."
    SERVERS_NOT_EVALUATED = "Servers that are not evaluated, because their frames arrive late and irregularly: {count}."
    ALERTS_UNTOLD = "Firing alerts that no channel takes: {count}."
    NOTIFICATIONS_LATE = "Notifications that are not sent yet: {count}."
    NOTIFICATIONS_DEAD = "Notifications of the last day that were given up: {count}."

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
    """A sentence, with what is needed to say it in another language."""

    code: Annotated[str, Field(description="For programs; stable.", examples=["silenced"])]
    parameters: Annotated[
        dict[str, Value],
        Field(
            description="What it names. Names of times end with `_ms`, of durations with `_seconds`, of sizes with "
            "`_bytes`.",
            examples=[{"kind": "silence", "silence_id": 3, "until_ms": 1_750_000_060_000}],
        ),
    ]
    text: Annotated[
        str, Field(description="The sentence in English.", examples=["silence 3 until 2025-06-15T15:07:40Z"])
    ]


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
