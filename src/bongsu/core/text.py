"""Texts that others choose: names of servers and hosts, tags, values of labels.

A line break in one of them would add a line of its own to a mail, an SMS or a log, and a character that changes the
direction of text would show something else than what is there.
"""

import re

# C0 and C1 control characters, line and paragraph separators, and characters that change the direction of text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def has_control(text: str) -> bool:
    """Whether the text has a control character."""
    return _CONTROL.search(text) is not None


def visible(text: str) -> str:
    r"""The text with control characters as escapes, such as ``\n``."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text) if has_control(text) else text
