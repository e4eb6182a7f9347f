"""Rules as a YAML file: ``rules:`` and a list. What is written is what is read."""

from typing import Any

import yaml
from pydantic import ValidationError

from bongsu.alerts.rules import Rule
from bongsu.core.errors import InvalidInput

# A file of a thousand rules has some 300 KB.
MOST_BYTES = 4 * 1024 * 1024


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Field and message of what pydantic found first."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return field, first["msg"].removeprefix("Value error, ")


def parse_rule(document: object, where: str = "rule") -> Rule:
    """One rule of its document.

    Raises:
        InvalidInput: names the field.
    """
    try:
        return Rule.model_validate(document)
    except ValidationError as error:
        field, message = first_problem(error)
        place = f"{where}.{field}" if field else where
        raise InvalidInput(f"{place}: {message}.", code="invalid_rule", field=place) from None


def load_rules(text: str) -> list[Rule]:
    """All rules of a file.

    Raises:
        InvalidInput: not YAML, a rule that is wrong, or a name twice.
    """
    if len(text) > MOST_BYTES:
        raise InvalidInput("The file is larger than 4 MiB.", code="invalid_rules", limit=MOST_BYTES)
    try:
        document: Any = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise InvalidInput(f"not YAML: {error}", code="invalid_rules") from None
    listed = document.get("rules", []) if isinstance(document, dict) else {}
    if not isinstance(listed, list | None) or set(document) - {"rules"}:
        raise InvalidInput("must hold one key, rules, with a list.", code="invalid_rules", field="rules")
    rules = []
    seen: set[str] = set()
    for index, one in enumerate(listed or []):
        name = one.get("name") if isinstance(one, dict) else None
        rule = parse_rule(one, f"rules[{index}]" + (f" ({name})" if isinstance(name, str) else ""))
        if rule.name in seen:
            raise InvalidInput(f"rules[{index}].name: {rule.name!r} stands twice.", code="invalid_rules", field="rules")
        seen.add(rule.name)
        rules.append(rule)
    return rules


def dump_rules(rules: list[Rule]) -> str:
    """The file of these rules."""
    documents = [rule.document() for rule in rules]
    return yaml.safe_dump({"rules": documents}, sort_keys=False, allow_unicode=True, width=120)
