"""The work of `shout`, in a module of its own."""


def loud(text: str) -> str:
    """Returns the text in capitals."""
    return text.upper()
