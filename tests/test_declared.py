"""What is declared is what is there: packages, locked versions."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(name: str) -> dict[str, str]:
    """Package -> version of each line `name==version ...`."""
    found = re.findall(r"(?m)^([\w.-]+)==([^\s;\\]+)", (ROOT / name).read_text())
    return {canonicalize_name(package): version for package, version in found}


def test_the_lock_holds_each_requirement_of_the_plain_install_in_a_version_that_it_allows() -> None:
    locked = pins("requirements.lock")
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert locked[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_the_lock_and_the_constraints_name_the_same_versions_and_the_lock_no_torch() -> None:
    locked, tested = pins("requirements.lock"), pins("constraints.txt")
    assert {name: locked[name] for name in locked.keys() & tested.keys() if locked[name] != tested[name]} == {}
    assert "torch" not in locked


def test_every_locked_package_has_hashes() -> None:
    entries = re.split(r"(?m)^(?=[\w.-]+==)", (ROOT / "requirements.lock").read_text())[1:]
    assert len(entries) == len(pins("requirements.lock"))
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_constraints_hold_each_tool_of_the_developers() -> None:
    tested = pins("constraints.txt")
    wanted = [Requirement(line) for group in ("dev", "docs", "train", "bench") for line in extra(group)]
    assert [
        str(item) for item in wanted if item.name != "evoxtral" and canonicalize_name(item.name) not in tested
    ] == []


def extra(name: str) -> list[str]:
    lines: list[str] = PROJECT["optional-dependencies"][name]
    return lines


def test_the_lock_of_the_extras_holds_each_requirement_of_all_but_those_that_need_torch() -> None:
    locked, plain = pins("requirements-extras.lock"), pins("requirements.lock")
    assert plain.items() <= locked.items()
    assert "torch" not in locked
    for extra in PROJECT["optional-dependencies"].keys() - {"train", "diarize", "docs", "dev"}:
        for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
            if requirement.name != PROJECT["name"]:
                assert locked[canonicalize_name(requirement.name)] in requirement.specifier, (extra, requirement)


def test_the_lock_of_training_holds_all_but_pytorch_and_its_parts() -> None:
    locked, plain = pins("requirements-training.lock"), pins("requirements.lock")
    assert plain.items() <= locked.items()
    of_torch = {"torch", "torchaudio", "triton"}
    assert not [name for name in locked if name in of_torch or name.startswith(("nvidia-", "cuda-"))]
    for requirement in map(Requirement, [*extra("train"), *extra("diarize"), *extra("corpus")]):
        if requirement.name not in {PROJECT["name"], *of_torch}:
            assert locked[canonicalize_name(requirement.name)] in requirement.specifier, requirement
