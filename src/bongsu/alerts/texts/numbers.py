"""Numbers and durations as each language writes them."""

import re

from bongsu.alerts.texts import Language

# Between thousands, and before decimals.
_SEPARATORS: dict[Language, tuple[str, str]] = {
    "de": (".", ","),
    "es": (".", ","),
    "fr": ("\u00a0", ","),
    "pt-BR": (".", ","),
}
# Written after the number.
_UNITS: dict[Language, dict[str, str]] = {
    "ko": {"y": "년", "w": "주", "d": "일", "h": "시간", "m": "분", "s": "초"},
    "de": {"y": " J.", "w": " Wo.", "d": " T.", "h": " Std.", "m": " Min.", "s": " Sek."},
    "es": {"y": " a", "w": " sem", "d": " d", "h": " h", "m": " min", "s": " s"},
    "fr": {"y": " an", "w": " sem", "d": " j", "h": " h", "m": " min", "s": " s"},
    "pt-BR": {"y": " a", "w": " sem", "d": " d", "h": " h", "m": " min", "s": " s"},
    "ja": {"y": "年", "w": "週間", "d": "日", "h": "時間", "m": "分", "s": "秒"},
    "zh-CN": {"y": "年", "w": "周", "d": "天", "h": "小时", "m": "分钟", "s": "秒"},
}
_UNIT = re.compile(r"(?<=\d) ?([ywdhms])(?!\w)")


def localised(text: str, language: Language) -> str:
    """A value as ``message.format_value`` writes it, or a duration as rules do: ``1,234.5 KiB``, ``1d 2h``."""
    if language in _SEPARATORS:
        thousands, point = _SEPARATORS[language]
        text = text.translate(str.maketrans(",.", thousands + point))
    units = _UNITS.get(language)
    return _UNIT.sub(lambda match: units[match[1]], text) if units else text
