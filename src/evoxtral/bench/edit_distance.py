"""Edit distance and edit scripts of texts of any length, in bounded time and memory.

Exact as long as the product of both lengths stays below a limit (such as 70,000 words on either side). Longer texts
are cut at the same places into pieces that are aligned exactly each, so that time grows with the length and no longer
with its square; the distance is then an upper bound of the exact one. Places to cut are where both texts agree: common
beginnings and ends, and tokens that occur once in either text and in the same order (patience diff, Cohen 2003); where
there are none, both texts are cut in equal parts. Knows sequences of tokens, nothing of words or tags.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

# Products of lengths up to which a distance and an edit script are exact; either takes about a second then.
DISTANCE_CELLS = 5_000_000_000
SCRIPT_CELLS = 500_000_000
# Length of the pieces of longer texts, in tokens.
_PIECE_TOKENS = 2048
# How often a piece is searched for agreements again before it is cut in equal parts.
_MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens `first` to `last` (exclusive) of both texts that stand for each other; `equal`: known to be the same."""

    reference_first: int
    reference_last: int
    hypothesis_first: int
    hypothesis_last: int
    equal: bool = False

    @property
    def cells(self) -> int:
        return (self.reference_last - self.reference_first) * (self.hypothesis_last - self.hypothesis_first)


def cut(reference: Sequence[str], hypothesis: Sequence[str], max_cells: int) -> list[Piece]:
    """Pieces of both texts, in order and without gaps, whose lengths multiply to at most `max_cells` unless equal."""
    return list(_cut(reference, hypothesis, Piece(0, len(reference), 0, len(hypothesis)), max_cells, 0))


def distance(reference: Sequence[str], hypothesis: Sequence[str], max_cells: int = DISTANCE_CELLS) -> int:
    """Least number of substituted, deleted and inserted tokens (Levenshtein 1966)."""
    return sum(
        Levenshtein.distance(
            reference[piece.reference_first : piece.reference_last],
            hypothesis[piece.hypothesis_first : piece.hypothesis_last],
        )
        for piece in cut(reference, hypothesis, max_cells)
        if not piece.equal
    )


def character_distance(reference: Sequence[str], hypothesis: Sequence[str], max_cells: int = DISTANCE_CELLS) -> int:
    """The same over the characters of words joined by single spaces; long texts are cut between words first."""
    joined = " ".join(reference), " ".join(hypothesis)
    if len(joined[0]) * len(joined[1]) <= max_cells:
        return distance(*joined, max_cells)
    total = 0
    for piece in cut(reference, hypothesis, _PIECE_TOKENS * _PIECE_TOKENS):
        if not piece.equal:
            # The space before a piece's first word belongs to the piece.
            first = " ".join(["", *reference[piece.reference_first : piece.reference_last]])
            second = " ".join(["", *hypothesis[piece.hypothesis_first : piece.hypothesis_last]])
            total += distance(
                first[piece.reference_first == 0 :], second[piece.hypothesis_first == 0 :], min(max_cells, SCRIPT_CELLS)
            )
    return total


def partners(reference: Sequence[str], hypothesis: Sequence[str], max_cells: int = SCRIPT_CELLS) -> list[int | None]:
    """For each token of the hypothesis the index of the reference token that it equals or replaces; None: inserted."""
    found: list[int | None] = [None] * len(hypothesis)
    for piece in cut(reference, hypothesis, max_cells):
        if piece.equal:
            found[piece.hypothesis_first : piece.hypothesis_last] = range(piece.reference_first, piece.reference_last)
            continue
        operations = Levenshtein.opcodes(
            reference[piece.reference_first : piece.reference_last],
            hypothesis[piece.hypothesis_first : piece.hypothesis_last],
        )
        for operation in operations:
            if operation.tag in ("equal", "replace"):
                first = piece.hypothesis_first + operation.dest_start
                length = operation.dest_end - operation.dest_start
                start = piece.reference_first + operation.src_start
                found[first : first + length] = range(start, start + length)
    return found


def _cut(
    reference: Sequence[str], hypothesis: Sequence[str], piece: Piece, max_cells: int, depth: int
) -> Iterator[Piece]:
    if piece.cells <= max_cells:
        yield piece
        return
    prefix, piece, suffix = _without_common_ends(reference, hypothesis, piece)
    if prefix is not None:
        yield prefix
    places = _agreements(reference, hypothesis, piece) if depth < _MAX_DEPTH and piece.cells > max_cells else []
    if piece.cells <= max_cells:
        yield piece
    elif places:
        for part in _split(piece, places):
            yield from _cut(reference, hypothesis, part, max_cells, depth + 1)
    else:
        yield from _equal_parts(piece, max_cells)
    if suffix is not None:
        yield suffix


def _without_common_ends(
    reference: Sequence[str], hypothesis: Sequence[str], piece: Piece
) -> tuple[Piece | None, Piece, Piece | None]:
    first, other_first = piece.reference_first, piece.hypothesis_first
    last, other_last = piece.reference_last, piece.hypothesis_last
    while first < last and other_first < other_last and reference[first] == hypothesis[other_first]:
        first, other_first = first + 1, other_first + 1
    while first < last and other_first < other_last and reference[last - 1] == hypothesis[other_last - 1]:
        last, other_last = last - 1, other_last - 1
    prefix = Piece(piece.reference_first, first, piece.hypothesis_first, other_first, equal=True)
    suffix = Piece(last, piece.reference_last, other_last, piece.hypothesis_last, equal=True)
    return (
        prefix if prefix.cells else None,
        Piece(first, last, other_first, other_last),
        suffix if suffix.cells else None,
    )


def _agreements(reference: Sequence[str], hypothesis: Sequence[str], piece: Piece) -> list[tuple[int, int]]:
    """Places, at least a piece's length apart, where a token stands that occurs once in either text."""
    span = reference[piece.reference_first : piece.reference_last]
    other = hypothesis[piece.hypothesis_first : piece.hypothesis_last]
    counts, other_counts = Counter(span), Counter(other)
    place_of = {
        token: piece.reference_first + index
        for index, token in enumerate(span)
        if counts[token] == 1 and other_counts.get(token) == 1
    }
    pairs = [
        (place_of[token], piece.hypothesis_first + index) for index, token in enumerate(other) if token in place_of
    ]
    chosen: list[tuple[int, int]] = []
    for place in _increasing(pairs):
        last = chosen[-1] if chosen else (piece.reference_first, piece.hypothesis_first)
        if min(place[0] - last[0], place[1] - last[1]) >= _PIECE_TOKENS:
            chosen.append(place)
    return chosen


def _increasing(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs, given in the order of their second members, whose first members increase too."""
    ends: list[int] = []  # least first member that ends a run of each length
    at: list[int] = []  # and which pair that is
    before: list[int | None] = []
    for index, (first, _) in enumerate(pairs):
        length = bisect_left(ends, first)
        before.append(at[length - 1] if length else None)
        if length == len(ends):
            ends.append(first)
            at.append(index)
        else:
            ends[length], at[length] = first, index
    run = []
    position = at[-1] if at else None
    while position is not None:
        run.append(pairs[position])
        position = before[position]
    return run[::-1]


def _split(piece: Piece, places: Sequence[tuple[int, int]]) -> Iterator[Piece]:
    starts = [(piece.reference_first, piece.hypothesis_first), *places]
    for start, end in zip(starts, [*places, (piece.reference_last, piece.hypothesis_last)], strict=True):
        yield Piece(start[0], end[0], start[1], end[1])


def _equal_parts(piece: Piece, max_cells: int) -> Iterator[Piece]:
    lengths = piece.reference_last - piece.reference_first, piece.hypothesis_last - piece.hypothesis_first
    part_tokens = min(_PIECE_TOKENS, math.isqrt(max_cells))
    parts = -(-max(lengths) // part_tokens)
    places = [
        (piece.reference_first + lengths[0] * part // parts, piece.hypothesis_first + lengths[1] * part // parts)
        for part in range(1, parts)
    ]
    yield from _split(piece, places)
