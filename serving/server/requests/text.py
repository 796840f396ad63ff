"""Texts of clients, made fit for messages and logs."""

MAX_NAME = 100


def printable(text: str, most: int) -> str:
    r"""Returns a client's text for a terminal: no control characters, and not too long.

    Example:
        >>> printable("moma\x1b[2J", 60), printable("x" * 9, 5)
        ('moma?[2J', 'xx...')
    """
    cut = text if len(text) <= most else f"{text[: most - 3]}..."
    return "".join(letter if letter.isprintable() else "?" for letter in cut)


def shown(name: str) -> str:
    """Returns a name that a client chose, for a message."""
    return printable(name, MAX_NAME)
