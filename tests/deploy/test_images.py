"""What the files of images and Spaces say is what the project has; nothing is built here."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from huggingface_hub import SpaceCard, SpaceCardData

from evoxtral.cli.commands import cli
from evoxtral.server.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
# What the hub's reference of a Space's front matter allows.
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
MOST_DESCRIPTION_CHARACTERS = 60


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    lines = dockerfile.read_text("utf-8").replace("\\\n", " ").splitlines()
    pairs = [line.partition(" ") for line in lines if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in pairs]


def values(dockerfile: Path, name: str) -> list[str]:
    return [rest for found, rest in instructions(dockerfile) if found == name]


def parsed(arguments: list[str]) -> dict[str, Any]:
    """What the command line makes of arguments; nothing is run."""
    command = cli.get_command(click.Context(cli), arguments[0])
    assert command is not None
    return command.make_context(arguments[0], arguments[1:]).params


def test_the_spaces_front_matter_is_one_that_the_hub_takes() -> None:
    card = SpaceCard.load(DEPLOY / "space" / "README.md", ignore_metadata_errors=False)
    assert isinstance(card.data, SpaceCardData)
    data = card.data.to_dict()
    assert (data["sdk"], data["app_port"], data["license"]) == ("docker", 7860, "apache-2.0")
    assert {data["colorFrom"], data["colorTo"]} <= COLOURS
    assert len(data["short_description"]) <= MOST_DESCRIPTION_CHARACTERS
    assert set(data) <= {
        *(
            "title",
            "emoji",
            "colorFrom",
            "colorTo",
            "sdk",
            "app_port",
            "license",
            "short_description",
            "tags",
            "pinned",
        ),
    }
    assert all(isinstance(tag, str) for tag in data["tags"])


def test_the_space_serves_on_the_port_that_its_front_matter_names_and_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dockerfile = DEPLOY / "space" / "Dockerfile"
    program, *arguments = json.loads(values(dockerfile, "CMD")[0])
    assert program == "evoxtral"
    options = parsed(arguments)
    assert (options["host"], options["port"], options["no_store"]) == ("0.0.0.0", 7860, True)
    assert values(dockerfile, "EXPOSE") == ["7860"]
    assert values(dockerfile, "USER") == ["user"]  # the hub runs Spaces as user 1000
    for line in values(dockerfile, "ENV"):
        [assignment] = shlex.split(line)
        name, _, value = assignment.partition("=")
        assert name.removeprefix("EVOXTRAL_SERVER_").lower() in Settings.model_fields
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.framed_by == ("https://huggingface.co",)
    assert settings.max_duration_s == 1800


def test_the_space_installs_the_wheel_that_is_put_beside_it() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = re.search(r"^space: wheel\n((?:\t.*\n)+)", makefile, re.M)
    assert recipe is not None
    assert "deploy/space/README.md deploy/space/Dockerfile dist/evoxtral-*.whl dist/space/" in recipe[1]
    dockerfile = DEPLOY / "space" / "Dockerfile"
    assert values(dockerfile, "COPY") == ["evoxtral-*.whl /wheels/"]
    assert any("/wheels/evoxtral-*.whl" in command for command in values(dockerfile, "RUN"))


def test_the_servers_image_and_the_compositions_run_commands_that_exist() -> None:
    dockerfile = DEPLOY / "Dockerfile"
    assert json.loads(values(dockerfile, "ENTRYPOINT")[0]) == ["evoxtral"]
    assert parsed(json.loads(values(dockerfile, "CMD")[0]))["host"] == "0.0.0.0"
    for service in yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"].values():
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
            if "command" in service:
                parsed(service["command"])


def test_images_are_of_a_python_that_the_project_takes() -> None:
    least = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert least is not None
    for dockerfile in (DEPLOY / "Dockerfile", DEPLOY / "space" / "Dockerfile"):
        [image] = values(dockerfile, "FROM")
        version = re.fullmatch(r"python:3\.(\d+)-slim", image)
        assert version is not None
        assert int(version[1]) >= int(least[1])
