"""Rules in YAML: one key, ``rules``, with a list. ``dump_rules`` writes what ``parse_rules`` reads, without loss."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bongsu.alerts.rules import Rule
from bongsu.core.errors import ConfigError, InvalidInput

# Rules that were built in once.
RETIRED = frozenset({"Swap full"})
# A file of a thousand rules takes some 300 KB.
MOST_BYTES = 4 * 1024 * 1024


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Field and message of the first problem that pydantic reports."""
    problem = error.errors()[0]
    field = ".".join(str(part) for part in problem["loc"])
    return field, problem["msg"].removeprefix("Value error, ")


def parse_rule(document: object, where: str = "rule") -> Rule:
    """A rule from its document. ``where``: how errors name the place in the file.

    Raises:
        InvalidInput: the document is not a rule; the message names the field.
    """
    try:
        return Rule.model_validate(document)
    except ValidationError as error:
        field, message = first_problem(error)
        place = f"{where}.{field}" if field else where
        raise InvalidInput(f"{place}: {message}.", code="invalid_rule", field=place) from None


def parse_rules(text: str) -> list[Rule]:
    """All rules of a file.

    Raises:
        InvalidInput: the text is not YAML, a rule is invalid, or two rules have the same name.
    """
    if len(text) > MOST_BYTES:
        raise InvalidInput("The file is larger than 4 MiB.", code="invalid_rules", limit=MOST_BYTES)
    try:
        document: Any = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise InvalidInput(f"not YAML: {error}", code="invalid_rules") from None
    rule_documents = document.get("rules", []) if isinstance(document, dict) else {}
    if not isinstance(rule_documents, list | None) or set(document) - {"rules"}:
        raise InvalidInput("The file must contain one key, rules, with a list.", code="invalid_rules", field="rules")
    rules = []
    names: set[str] = set()
    for index, rule_document in enumerate(rule_documents or []):
        name = rule_document.get("name") if isinstance(rule_document, dict) else None
        rule = parse_rule(rule_document, f"rules[{index}]" + (f" ({name})" if isinstance(name, str) else ""))
        if rule.name in names:
            raise InvalidInput(
                f"rules[{index}].name: there are two rules named {rule.name!r}.", code="invalid_rules", field="rules"
            )
        names.add(rule.name)
        rules.append(rule)
    return rules


def dump_rules(rules: list[Rule]) -> str:
    """The text of a file with these rules."""
    documents = [rule.document() for rule in rules]
    return yaml.safe_dump({"rules": documents}, sort_keys=False, allow_unicode=True, width=120)


def read_rules(file: Path | None) -> list[Rule]:
    """The rules of a file; None: the built-in rules.

    Raises:
        ConfigError: the file cannot be read or is invalid; the message names the file and the rule.
    """
    where = str(file) if file else "the built-in rules"
    try:
        text = file.read_text("utf-8") if file else (files("bongsu.alerts") / "rules.yml").read_text("utf-8")
        return parse_rules(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: {error}", field="alert_rules_file") from None
    except InvalidInput as error:
        raise ConfigError(f"{where}: {error.message}", field=error.field) from None
