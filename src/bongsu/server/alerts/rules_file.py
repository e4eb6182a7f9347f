"""The file of rules that is imported at start: the one of the settings, or the pack that comes with Bongsu."""

from importlib.resources import files
from pathlib import Path

from bongsu.alerts.rulebook import load_rules
from bongsu.alerts.rules import Rule
from bongsu.core.errors import ConfigError, InvalidInput


def read_rules(file: Path | None) -> list[Rule]:
    """Raises ConfigError, naming the file and the rule."""
    where = str(file) if file else "the built-in rules"
    try:
        text = file.read_text("utf-8") if file else (files("bongsu.alerts") / "rules.yml").read_text("utf-8")
        return load_rules(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: {error}", field="alert_rules_file") from None
    except InvalidInput as error:
        raise ConfigError(f"{where}: {error.message}", field=error.field) from None
