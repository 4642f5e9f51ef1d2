"""`evoxtral serve` when it cannot: one line that names the cause and what to do, and exit code 2."""

import socket

import pytest

from evoxtral.cli.main import main


def run(capsys, *options: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["serve", *options])
    assert stop.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def test_a_taken_port_is_named_with_the_option_that_helps(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = run(capsys, "--port", str(port))
    assert f"127.0.0.1 port {port}" in line
    assert "--port" in line


def test_a_model_that_does_not_exist_is_named(capsys):
    assert "no-such-model" in run(capsys, "--port", "0", "--model", "no-such-model")
