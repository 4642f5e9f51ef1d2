"""CONTRIBUTING's worked diffs: each applies to the tree as it is, touches as many files as the table says, and works.

Each `###` section there holds a diff, and a program that fails if what the diff adds is not there. The program runs
on a copy of the package, so that the tree stays as it is.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = {
    part.partition("\n")[0].strip(): part
    for part in re.split(r"(?m)^### ", TEXT.partition("## How to add")[2].partition("\n## ")[0])[1:]
}


def block(section: str, language: str) -> str:
    found = re.search(rf"(?ms)^```{language}\n(.*?)^```$", section)
    assert found is not None
    return found[1]


def test_each_row_of_the_table_has_its_section() -> None:
    rows = dict(re.findall(r"(?m)^\| \[([^]]+)\]\(#[\w-]+\) \| (\d(?: to \d)?) \|$", TEXT))
    assert {name.capitalize() for name in rows} == set(SECTIONS)
    assert len(rows) == 6


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what diffs may change, without weights and recordings."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(
        ROOT / "src",
        copy / "src",
        ignore=shutil.ignore_patterns("model.bin", "*.opus", "__pycache__", "studio", "*.npz"),
    )
    shutil.copytree(ROOT / "docs", copy / "docs", ignore=shutil.ignore_patterns("bench", "images"))
    return copy


@pytest.mark.parametrize("name", SECTIONS)
def test_the_diff_applies_touches_as_few_files_as_promised_and_works(name: str, package: Path, tmp_path: Path) -> None:
    diff = block(SECTIONS[name], "diff")
    touched = set(re.findall(r"(?m)^\+\+\+ b/(\S+)$", diff))
    promised = re.search(rf"(?mi)^\| \[{name}\]\([^)]*\) \| (\d)(?: to (\d))? \|$", TEXT)
    assert promised is not None
    assert int(promised[1]) <= len(touched) <= int(promised[2] or promised[1])
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path), "PYTHONPATH": str(copy / "src")}
    apply = ["git", "apply", "-C1", "-"]
    subprocess.run(apply, input=diff, text=True, cwd=copy, env=environment, check=True)
    done = subprocess.run(
        [sys.executable, "-c", block(SECTIONS[name], "python")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
