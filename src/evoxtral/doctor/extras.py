"""The optional groups of packages, by what the installed distribution declares. Imports none of them."""

import importlib.metadata
import re
from collections.abc import Iterable, Iterator

from evoxtral.findings import Finding, is_importable

# Packages that are imported by another name than they are installed by.
_IMPORTED_AS = {"piper-tts": "piper", "scikit-learn": "sklearn"}
_FOR_DEVELOPERS = frozenset({"dev", "docs"})
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[^]]*)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"](?P<extra>[\w.-]+)['\"]")


def find_extras(requirements: Iterable[str], project: str = "evoxtral") -> Iterator[Finding]:
    """Which optional groups of packages can be imported, by a distribution's `Requires-Dist` lines."""
    groups: dict[str, list[str]] = {}
    for requirement in requirements:
        group = _EXTRA.search(requirement)
        if group is not None and group["extra"] not in _FOR_DEVELOPERS:
            groups.setdefault(group["extra"], []).append(requirement)

    def missing_of(extra: str) -> Iterator[str]:
        for requirement in groups.get(extra, ()):
            match = _REQUIREMENT.match(requirement)
            assert match is not None
            if match["name"] == project:
                for other in (match["extras"] or "").split(","):
                    yield from missing_of(other.strip())
            elif not is_importable(_IMPORTED_AS.get(match["name"], match["name"].lower().replace("-", "_"))):
                yield match["name"]

    for extra in sorted(groups):
        missing = sorted(set(missing_of(extra)))
        yield Finding(extra, not missing, ", ".join(missing), f"pip install '{project}[{extra}]'" if missing else None)


def own_requirements() -> list[str]:
    """The requirements of the installed Evoxtral."""
    try:
        return importlib.metadata.requires("evoxtral") or []
    except importlib.metadata.PackageNotFoundError:  # run from its sources
        return []
