"""`evoxtral serve` when it cannot: one line that names the cause and what to do, and exit code 2."""

import io
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import soundfile

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


def test_a_busy_server_stops_when_it_is_told_and_gives_its_work_up(tmp_path, spoken_wav):
    samples, rate_hz = soundfile.read(io.BytesIO(spoken_wav))
    soundfile.write(tmp_path / "long.flac", np.tile(samples, 300), rate_hz)  # minutes of work
    command = [sys.executable, "-m", "evoxtral.cli.main", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            address = re.search(r"http://\S+", server.stderr.readline())
            assert address is not None
            with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=address[0], timeout=60) as client:
                upload = {"file": ("long.flac", (tmp_path / "long.flac").read_bytes())}
                answer = pool.submit(client.post, "/transcribe", files=upload)
                while "evoxtral_requests_admitted 1.0" not in httpx.get(f"{address[0]}/metrics").text:
                    assert not answer.done()
                server.terminate()
                assert server.wait(60) in (0, -signal.SIGTERM)
                failed = answer.exception(60)
                assert isinstance(failed, httpx.TransportError) or answer.result().status_code >= 500
        finally:
            server.kill()
