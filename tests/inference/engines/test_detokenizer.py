"""Pieces of text join to the whole, and hold no part of a character."""

from hypothesis import given
from hypothesis import strategies as st

from evoxtral.inference.engines.detokenizer import decoded, stripped


def decode(tokens: list[int]) -> str:
    return bytes(tokens).decode("utf-8", "replace")


@given(st.text(max_size=30))
def test_text_comes_character_by_character(text: str) -> None:
    tokens = list(text.encode("utf-8", "surrogatepass"))
    assert list(decoded(tokens, decode)) == list(decode(tokens)) or "\ufffd" in decode(tokens)


@given(st.binary(max_size=30))
def test_any_tokens_join_to_their_text(data: bytes) -> None:
    assert "".join(decoded(data, decode)) == decode(list(data))


def test_a_character_waits_for_its_last_token() -> None:
    given_at = []
    tokens = iter("é€".encode())

    def count() -> object:
        for number, token in enumerate(tokens, start=1):
            given_at.append(number)
            yield token

    seen = [(piece, given_at[-1]) for piece in decoded(count(), decode)]
    assert seen == [("é", 2), ("€", 5)]


@given(st.lists(st.text(alphabet="ab \n\u3000", max_size=4), max_size=8))
def test_only_the_outer_white_space_is_dropped(pieces: list[str]) -> None:
    given_pieces = list(stripped(pieces))
    assert "".join(given_pieces) == "".join(pieces).strip()
    assert all(given_pieces)


def test_what_can_be_given_is_not_held() -> None:
    assert list(stripped([" ", " one", " two ", "three", " "])) == ["one", " two", " three"]
