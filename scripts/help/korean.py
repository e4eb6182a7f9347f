"""Search in Korean, which has no spaces between a noun and its particle."""

import re

from sphinx.search.en import SearchEnglish

_RUN = re.compile(r"[가-힣]+|[^\W가-힣]+")


class SearchKorean(SearchEnglish):
    """Each pair of syllables is a word, so that 서버 finds 서버가 and 서버에서. Other words are as in English."""

    lang = "ko"
    language_name = "English"  # names the stemmer in the browser
    # For the browser. Of each word of a question only the first pair: the others are often those of an ending that the
    # page does not have. A word may be of both languages, as "API서버가".
    js_splitter_code = r"""
var splitQuery = (query) => (query.match(/[가-힣]{2}[가-힣]*|[^\s가-힣\p{P}\p{S}]+/gu) || [])
  .map((word) => /^[가-힣]/.test(word) ? word.slice(0, 2) : word);
"""

    def split(self, input: str) -> list[str]:
        """The words of a text; of Korean ones, each pair of neighbouring syllables."""
        words: list[str] = []
        for run in _RUN.findall(input):
            hangul = "가" <= run[0] <= "힣"
            words += [run[at : at + 2] for at in range(len(run) - 1)] if hangul else [run]
        return words
