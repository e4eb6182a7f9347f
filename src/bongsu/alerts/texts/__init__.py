"""The fixed texts of messages, a file for each language. Those of the dashboard are in ``frontend/i18n/locales``."""

from typing import Literal

from bongsu.alerts.texts import de, en, es, fr, ja, ko, pt_br, zh_cn

Language = Literal["en", "ko", "de", "es", "fr", "pt-BR", "ja", "zh-CN"]

TEXTS: dict[Language, dict[str, str]] = {
    "en": en.TEXTS,
    "ko": ko.TEXTS,
    "de": de.TEXTS,
    "es": es.TEXTS,
    "fr": fr.TEXTS,
    "pt-BR": pt_br.TEXTS,
    "ja": ja.TEXTS,
    "zh-CN": zh_cn.TEXTS,
}
