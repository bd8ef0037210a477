"""The exception for mistakes that a person can fix."""

__all__ = ["MAX_MESSAGE_CHARACTERS", "PackageError", "one_line"]

MAX_MESSAGE_CHARACTERS = 4000


class PackageError(Exception):
    """A mistake that a person can fix.

    The message is one line: what was expected, what was found, where, and what to do next.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(message: str) -> str:
    """Return a message that is safe to print, even if it quotes an untrusted file.

    Line breaks, terminal escape sequences and lone surrogates are escaped as in Python source. Text
    beyond `MAX_MESSAGE_CHARACTERS` is cut off.
    """
    text = "".join(
        character if character.isprintable() else ascii(character)[1:-1]
        for character in message[:MAX_MESSAGE_CHARACTERS]
    )
    if max(len(text), len(message)) <= MAX_MESSAGE_CHARACTERS:
        return text
    return f"{text[:MAX_MESSAGE_CHARACTERS]} ..."
