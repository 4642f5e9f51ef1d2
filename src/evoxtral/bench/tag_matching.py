"""Tags of a hypothesis matched one to one with those of its reference, by where they stand.

Exact (Hungarian method) for what stands near together; linear in the number of tags, whatever that is. Knows tags,
gaps and alignments; makes no figure of them.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoxtral.bench.alignment import Alignment
from evoxtral.bench.counts import Floats
from evoxtral.tags import TaggedText

# Most tags on either side that are matched exactly at once; more are matched in blocks of so many.
_BLOCK = 512

Pair = tuple[int, int]
Range = tuple[int, int]
"""The reference gaps, first and last, at which a tag of the hypothesis may lie (`Alignment.project_gap`)."""


@dataclass(frozen=True, slots=True)
class TagPair:
    """A tag of the reference and one of the hypothesis, by index, and how many words too late (+) the latter stands."""

    reference: int
    hypothesis: int
    displacement: int


def match_tags(reference: TaggedText, hypothesis: TaggedText, alignment: Alignment) -> list[TagPair]:
    """Tags of one name matched one to one, in the order of the reference.

    Hypothesis gaps are projected onto reference gaps through the alignment of the words; where the projection is a
    range, the displacement is the distance to its nearest end. The matching makes the sum of absolute displacements
    least (Kuhn 1955, the Hungarian method), and among such matchings most are exact. As many tags of a name are
    matched as both texts have. Of more than 512 tags of one name that stand nowhere exactly, neighbours are matched in
    blocks, and the sum is least in each.
    """
    expected, written = _indices_by_name(reference), _indices_by_name(hypothesis)
    pairs = []
    for name in expected.keys() & written.keys():
        gaps = [reference.tags[index].gap for index in expected[name]]
        ranges = [alignment.project_gap(hypothesis.tags[index].gap) for index in written[name]]
        pairs += [
            TagPair(expected[name][row], written[name][column], displacement(gaps[row], ranges[column]))
            for row, column in match_places(gaps, ranges)
        ]
    return sorted(pairs, key=lambda pair: pair.reference)


def match_places(gaps: Sequence[int], ranges: Sequence[Range]) -> list[Pair]:
    """Row and column of each pair of the matching that `match_tags` describes; both arguments increase.

    A gap and a range that is this gap alone belong together in some best matching: exchanging partners makes neither
    the sum larger (triangle inequality) nor fewer pairs exact. They are paired first, which leaves little in practice.
    """
    pairs, rows, columns = _pair_where_equal(gaps, ranges)
    if len(rows) * len(columns) <= _BLOCK * _BLOCK:
        return pairs + _least_sum(gaps, ranges, rows, columns)
    inside, rows, columns = _pair_inside(gaps, ranges, rows, columns)
    pairs += inside
    left_rows, left_columns = [], []
    for block_rows, block_columns in _blocks(gaps, ranges, rows, columns):
        made = _least_sum(gaps, ranges, block_rows, block_columns)
        pairs += made
        left_rows += sorted(set(block_rows) - {row for row, _ in made})
        left_columns += sorted(set(block_columns) - {column for _, column in made})
    return pairs + list(zip(left_rows, left_columns, strict=False))


def match_near(gaps: Sequence[int], ranges: Sequence[Range], reach: int) -> list[Pair]:
    """As many pairs not more than `reach` words apart as can be, of these the ones with the least sum of distances.

    Args:
        gaps, ranges: increasing.
    """
    pairs = []
    for rows, columns in _neighbourhoods(gaps, ranges, reach):
        for block_rows, block_columns in _blocks(gaps, ranges, rows, columns):
            distances = np.abs(_displacements(gaps, ranges, block_rows, block_columns))
            # Beyond the reach all is equally far, so that nothing near is given up for it.
            far = reach * (distances.size + 1)
            for row, column in _least_cost(np.where(distances <= reach, distances, far).astype(float)):
                if distances[row, column] <= reach:
                    pairs.append((block_rows[row], block_columns[column]))
    return pairs


def displacement(gap: int, place: Range) -> int:
    """Signed distance from a gap to a range of gaps, 0 inside it."""
    first, last = place
    return first - gap if first > gap else last - gap if last < gap else 0


def _indices_by_name(text: TaggedText) -> dict[str, list[int]]:
    indices: dict[str, list[int]] = {}
    for index, tag in enumerate(text.tags):
        indices.setdefault(tag.name, []).append(index)
    return indices


def _pair_where_equal(gaps: Sequence[int], ranges: Sequence[Range]) -> tuple[list[Pair], list[int], list[int]]:
    """Pairs of a gap and a range that is this gap alone, and the rows and columns that are left."""
    waiting: defaultdict[int, deque[int]] = defaultdict(deque)
    for row, gap in enumerate(gaps):
        waiting[gap].append(row)
    pairs, columns = [], []
    for column, (first, last) in enumerate(ranges):
        if first == last and waiting.get(first):
            pairs.append((waiting[first].popleft(), column))
        else:
            columns.append(column)
    return pairs, sorted(row for rows in waiting.values() for row in rows), columns


def _pair_inside(
    gaps: Sequence[int], ranges: Sequence[Range], rows: Sequence[int], columns: Sequence[int]
) -> tuple[list[Pair], list[int], list[int]]:
    """Pairs of gaps and ranges that hold them, in order, and the rows and columns that are left."""
    pairs, left_columns = [], []
    taken: set[int] = set()
    position = 0
    for column in columns:
        first, last = ranges[column]
        while position < len(rows) and gaps[rows[position]] < first:
            position += 1
        if position < len(rows) and gaps[rows[position]] <= last:
            pairs.append((rows[position], column))
            taken.add(rows[position])
            position += 1
        else:
            left_columns.append(column)
    return pairs, [row for row in rows if row not in taken], left_columns


def _neighbourhoods(gaps: Sequence[int], ranges: Sequence[Range], reach: int) -> list[tuple[list[int], list[int]]]:
    """Rows and columns in groups such that nothing is within reach of anything in another group."""
    items = [(gap, gap, row, True) for row, gap in enumerate(gaps)]
    items += [(first, last, column, False) for column, (first, last) in enumerate(ranges)]
    groups: list[tuple[list[int], list[int]]] = []
    end: int | None = None
    for first, last, index, is_row in sorted(items):
        if end is None or first > end + reach:
            groups.append(([], []))
            end = last
        groups[-1][0 if is_row else 1].append(index)
        end = max(end, last)
    return [group for group in groups if group[0] and group[1]]


def _blocks(
    gaps: Sequence[int], ranges: Sequence[Range], rows: Sequence[int], columns: Sequence[int]
) -> list[tuple[list[int], list[int]]]:
    """Rows and columns in the order of their places, in blocks of at most 512 of either."""
    items = sorted(
        [(gaps[row], row, True) for row in rows] + [(ranges[column][0], column, False) for column in columns]
    )
    blocks: list[tuple[list[int], list[int]]] = [([], [])]
    for _, index, is_row in items:
        if len(blocks[-1][0 if is_row else 1]) == _BLOCK:
            blocks.append(([], []))
        blocks[-1][0 if is_row else 1].append(index)
    return blocks


def _least_sum(gaps: Sequence[int], ranges: Sequence[Range], rows: Sequence[int], columns: Sequence[int]) -> list[Pair]:
    if not rows or not columns:
        return []
    distances = np.abs(_displacements(gaps, ranges, rows, columns))
    # The addition sums to less than 1 over a matching, so it only decides between equal sums of distances.
    cost = distances + (distances != 0) / (distances.size + 1)
    return [(rows[row], columns[column]) for row, column in _least_cost(cost)]


def _displacements(
    gaps: Sequence[int], ranges: Sequence[Range], rows: Sequence[int], columns: Sequence[int]
) -> NDArray[np.int64]:
    """`displacement` of each range (columns) from each gap (rows)."""
    places = np.array([gaps[row] for row in rows], dtype=np.int64)[:, None]
    firsts, lasts = np.array([ranges[column] for column in columns], dtype=np.int64).reshape(-1, 2).T
    distances: NDArray[np.int64] = np.maximum(firsts - places, 0) + np.minimum(lasts - places, 0)
    return distances


def _least_cost(cost: Floats) -> list[Pair]:
    """Row and column of each pair of the one-to-one matching, as large as it can be, whose summed cost is least."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))
