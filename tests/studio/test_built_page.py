"""`make studio-check` notices when the built page and its sources disagree; its part for that is `studio-built`.

The real targets run in a small tree; what takes the place of npm builds a page of two files.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

TARGETS = Path(__file__).parents[2] / "web/studio.mk"
NPM = """#!/bin/sh
mkdir -p web/out/_next && echo "<p>page</p>" > web/out/index.html && echo "let a = 1" > web/out/_next/a.js
"""
BUILT = "src/evoxtral/server/studio"


def make(tree: Path, target: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-f", "web/studio.mk", target]
    path = f"{tree / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(command, cwd=tree, env={**os.environ, "PATH": path}, capture_output=True, text=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout whose page was just built."""
    for file in (
        "bin/npm",
        "web/app/page.tsx",
        "web/lib/a.ts",
        "web/package.json",
        "web/package-lock.json",
        "web/.npmrc",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("{}")
    (tmp_path / "bin/npm").write_text(NPM)
    (tmp_path / "bin/npm").chmod(0o755)
    shutil.copy(TARGETS, tmp_path / "web/studio.mk")
    (tmp_path / "web/node_modules").mkdir()
    (tmp_path / "web/node_modules/.package-lock.json").write_text("{}")
    (tmp_path / "src/evoxtral/server").mkdir(parents=True)
    built = make(tmp_path, "studio")
    assert built.returncode == 0, built.stderr
    return tmp_path


def test_a_page_that_was_just_built_is_right_and_tests_are_no_part_of_it(tree):
    (tree / "web/lib/a.test.ts").write_text("a test")
    checked = make(tree, "studio-built")
    assert (checked.returncode, checked.stderr) == (0, "")


def change(path: str) -> Callable[[Path], object]:
    return lambda tree: (tree / path).write_text("something else")


def remove(path: str) -> Callable[[Path], object]:
    return lambda tree: (tree / path).unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (change("web/lib/a.ts"), "not that of web/"),
        (change("web/lib/new.ts"), "not that of web/"),
        (remove("web/lib/a.ts"), "not that of web/"),
        (change(f"{BUILT}/_next/a.js"), "were changed"),
        (change(f"{BUILT}/_next/new.js"), "were changed"),
        (remove(f"{BUILT}/_next/a.js"), "were changed"),
        (remove(f"{BUILT}/index.html"), "not built"),
        (remove(f"{BUILT}/sources.sha256"), "not that of web/"),
        (remove(f"{BUILT}/files.sha256"), "were changed"),
    ],
    ids=[
        "changed source", "new source", "missing source", "changed file", "new file", "missing file", "no page",
        "no sources' sum", "no files' sum",
    ],
)  # fmt: skip
def test_a_page_that_is_not_of_its_sources_is_noticed(tree, damage, told):
    damage(tree)
    checked = make(tree, "studio-built")
    assert checked.returncode != 0
    assert told in checked.stderr
