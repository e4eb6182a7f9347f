"""Text that fits: into one line of a record or a header, into a vendor's limit."""

# Of what a service answered, for the record.
MOST_ANSWER = 300


def one_line(text: str) -> str:
    """The text without line breaks, so that a name cannot add a header of its own."""
    return " ".join(text.split())


def clean(text: str) -> str:
    """An answer as one printable line, for the record."""
    return one_line("".join(character if character.isprintable() else " " for character in text))[:MOST_ANSWER]


def cut(text: str, most: int) -> str:
    """At most so many characters, with an ellipsis where the text was cut."""
    return text if len(text) <= most else text[: most - 1] + "…"
