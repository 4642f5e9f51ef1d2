"""A spool holds what the stream held; a temporary folder without room is one line that says what to do."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoxtral.audio.spooling import IN_MEMORY_BYTES, spooled
from evoxtral.errors import AudioError


@given(st.lists(st.binary()), st.integers(0, 50))
def test_a_spool_holds_all_pieces_and_can_be_sought_in(pieces: list[bytes], in_memory_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evoxtral.audio.spooling.IN_MEMORY_BYTES", in_memory_bytes)
        check_spool(pieces)


def check_spool(pieces: list[bytes]) -> None:
    with spooled(pieces, "x") as file:
        assert file.read() == b"".join(pieces)
        assert file.seek(0) == 0


def test_a_failure_of_the_pieces_passes_through() -> None:
    def breaks():
        yield b"some"
        raise ConnectionResetError("the other side")

    with pytest.raises(ConnectionResetError, match="the other side"), spooled(breaks(), "x"):
        pass


def test_a_temporary_folder_without_room_is_named_with_what_to_do() -> None:
    """The system refuses every file above 64 KiB, as a full disk would."""
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "from evoxtral.audio.spooling import spooled\n"
        "from evoxtral.errors import AudioError\n"
        "try:\n"
        "    with spooled([b'x' * 2**20] * 33, 'talk.ogg'): pass\n"
        "except AudioError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("talk.ogg: cannot be kept in a temporary file: File too large")
    assert "TMPDIR" in done.stdout
    assert done.stderr == ""


def test_a_temporary_folder_that_is_not_there_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    whole = [bytes(IN_MEMORY_BYTES), b"x"]
    with pytest.raises(AudioError, match="x: cannot be kept in a temporary file: No such file"), spooled(whole, "x"):
        pass
