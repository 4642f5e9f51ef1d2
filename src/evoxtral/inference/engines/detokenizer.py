"""Text that comes piece by piece: from tokens to characters that stay. Knows nothing of models or sound."""

from collections.abc import Callable, Iterable, Iterator


def decoded(tokens: Iterable[int], decode: Callable[[list[int]], str]) -> Iterator[str]:
    """The text of tokens as they come; a character whose bytes are spread over several tokens waits for the last.

    Args:
        decode: gives the text of a list of tokens; a part of a character becomes U+FFFD.
    """
    read: list[int] = []
    given = 0
    for token in tokens:
        read.append(token)
        whole = decode(read).rstrip("\ufffd")
        if len(whole) > given:
            yield whole[given:]
            given = len(whole)
    rest = decode(read)[given:] if read else ""
    if rest:
        yield rest


def stripped(pieces: Iterable[str]) -> Iterator[str]:
    """The same pieces without white space before the first and after the last: joined, the stripped text."""
    begun = False
    held = ""
    for piece in pieces:
        held += piece if begun else piece.lstrip()
        ready = held.rstrip()
        if ready:
            begun = True
            yield ready
            held = held[len(ready) :]
