"""The wheel holds the built page, and a server that runs from it serves that page on a machine without Node."""

import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
from studio_browser import evoxtral_serve

from evoxtral.server.settings import STUDIO_FOLDER

ROOT = Path(__file__).parents[2]
MARK = "<!-- from the wheel -->"


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_wheel_serves_the_built_page_without_node(tmp_path, monkeypatch):
    built, site = tmp_path / "built", tmp_path / "site"
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(built)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = built.glob("evoxtral-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    page = site / "evoxtral/server/studio"
    assert files_in(page) == files_in(STUDIO_FOLDER)

    with (page / "index.html").open("a", encoding="utf-8") as index:
        index.write(MARK)
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("PATH", "/nowhere")
    with evoxtral_serve("--no-store") as address:
        answer = httpx.get(address)
        assert answer.status_code == 200
        assert answer.text.endswith(MARK)
        assert "Evoxtral" in answer.text
