"""The one exception that the model library raises for a person's mistake."""

# Characters of a message: enough for two long paths and what is wrong.
LONGEST = 2000


class PackageError(Exception):
    """A mistake that a person can mend.

    The message is one line: what was expected, what was found, where, and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(message: str) -> str:
    """Return a message that is safe to print, whatever it quotes from a stranger's file.

    Line ends, escapes that move a terminal's cursor and halves of characters are spelt out, as
    in Python's source; what is too long for a log is cut off.
    """
    text = "".join(map(_printable, message[:LONGEST]))
    return text if max(len(text), len(message)) <= LONGEST else f"{text[:LONGEST]} ..."


def _printable(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
