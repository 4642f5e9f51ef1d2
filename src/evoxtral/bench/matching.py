"""Which hypothesis belongs to which reference, by id. Knows ids and texts, nothing of scores."""

from collections.abc import Mapping, Sequence

from evoxtral.data.records import Reference
from evoxtral.errors import ScoreError


def match_ids(
    references: Sequence[Reference], hypotheses: Mapping[str, str], *, allow_missing: bool
) -> tuple[list[str], list[str]]:
    """The hypothesis text of each reference, and the ids that have none (their text is "").

    Raises:
        ScoreError: ids are missing on either side and that is not allowed, or no id matches.
    """
    wanted = {reference.id for reference in references}
    missing = [reference.id for reference in references if reference.id not in hypotheses]
    foreign = [id for id in hypotheses if id not in wanted]
    if len(missing) == len(references):
        raise ScoreError("no hypothesis has the id of a reference", "check that both files are of the same test set")
    if not allow_missing:
        hint = "pass --allow-missing to score missing ones as empty and to ignore superfluous ones"
        if missing:
            raise ScoreError(f"{_count(missing, 'reference')} without hypothesis: {_some(missing)}", hint)
        if foreign:
            raise ScoreError(f"{_count(foreign, 'hypothesis', 'hypotheses')} without reference: {_some(foreign)}", hint)
    return [hypotheses.get(reference.id, "") for reference in references], missing


def _count(ids: Sequence[str], one: str, many: str | None = None) -> str:
    return f"{len(ids)} {one if len(ids) == 1 else many or one + 's'}"


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
