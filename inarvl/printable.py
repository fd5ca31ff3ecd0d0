"""Text of remote hosts, made safe for terminals and logs."""

from __future__ import annotations

LINE_BREAKS = "\n\t"


def printable(text: object, *, keep: str = "") -> str:
    r"""Returns the text with every character that could control a terminal as its escape sequence.

    Args:
        keep: such characters to keep nevertheless, such as line breaks.

    >>> printable("a\x1b[2Jb\n")
    'a\\x1b[2Jb\\n'
    """
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape").decode()
        for character in str(text)
    )
