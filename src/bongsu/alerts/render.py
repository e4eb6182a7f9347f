"""Messages as HTML. Templates are our own files; what a host or label is called is only ever a value in them, escaped,
and never a template."""

from functools import cache
from importlib.resources import files

from jinja2 import BaseLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bongsu.alerts.alert import Event
from bongsu.alerts.message import Message

# Text on the mark, the mark, and its pale ground.
COLOURS = {
    "info": ("#ffffff", "#2563eb"),
    "warning": ("#1f1300", "#f59e0b"),
    "critical": ("#ffffff", "#dc2626"),
    "resolved": ("#ffffff", "#15803d"),
}


class _Files(BaseLoader):
    def get_source(self, environment: object, template: str) -> tuple[str, str | None, None]:
        return (files("bongsu.alerts") / "templates" / template).read_text("utf-8"), template, None


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=_Files(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def render_html(message: Message, chart_id: str = "") -> str:
    """The body of a mail. ``chart_id``: of the picture that comes with it."""
    colour = "resolved" if message.event is Event.RESOLVED else message.severity.value
    return (
        _environment()
        .get_template("mail.html.j2")
        .render(message=message, t=message.text, ink=COLOURS[colour][0], ground=COLOURS[colour][1], chart_id=chart_id)
    )
