"""`evoxtral transcribe` as a user runs it, with a tiny model that writes one text for whatever it hears."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.cli.transcribe import command
from evoxtral.tts import load_speech_engine
from playlists import PLAYLISTS
from tiny_edge import save_tiny_edge

TEXT = "[excited] It WORKS! [laughs]"
PLAIN = "It works!"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny_edge(tmp_path_factory.mktemp("by-heart"), text=TEXT))


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    spoken = load_speech_engine("local").speak("It really works.", voice="espeak/alan")
    return resample(spoken.samples, spoken.sample_rate_hz, SAMPLE_RATE_HZ)


@pytest.fixture
def clip(speech: np.ndarray, tmp_path: Path) -> Callable[[str], str]:
    def make(name: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech, SAMPLE_RATE_HZ)
        return str(path)

    return make


@pytest.fixture
def longer_clip(speech: np.ndarray, tmp_path: Path) -> Callable[[str], str]:
    """A clip whose window an engine can tell from those of `clip`."""

    def make(name: str) -> str:
        soundfile.write(tmp_path / name, np.concatenate([speech, speech]), SAMPLE_RATE_HZ)
        return str(tmp_path / name)

    return make


def at_longer(engine: Any, do: Callable[[], None]) -> Any:
    """The engine, doing something first where it is given a window of `longer_clip`."""
    transcribe_windows = engine.transcribe_windows

    def do_and_transcribe(windows: Sequence[np.ndarray], *, language: str = "en") -> list[Any]:
        if any(len(window) > 2 * SAMPLE_RATE_HZ for window in windows):
            do()
        return list(transcribe_windows(windows, language=language))

    engine.transcribe_windows = do_and_transcribe
    return engine


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(command, list(arguments), input=stdin, standalone_mode=False)


def test_one_recording_goes_to_standard_output_and_nothing_else_does(clip, model: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evoxtral.cli.main", "transcribe", clip("a.wav"), "--model", model],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, TEXT + "\n", "")


def test_the_bar_is_on_a_terminals_standard_error_only(clip, model: str) -> None:
    main, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "evoxtral.cli.main", "transcribe", clip("[red] a.wav"), "--model", model],
        stdout=subprocess.PIPE,
        stderr=terminal,
        check=True,
    )
    os.close(terminal)
    with os.fdopen(main, "rb", closefd=True) as screen:
        shown = screen.read1(65536) if hasattr(screen, "read1") else screen.read(65536)
    assert done.stdout.decode() == TEXT + "\n"
    assert b"[red] a.wav" in shown


def test_standard_input(clip, model: str) -> None:
    result = run("-", "--model", model, "--format", "json", stdin=Path(clip("a.wav")).read_bytes())
    assert result.return_value == 0
    assert json.loads(result.stdout)["path"] == "-"


def test_a_pipe_is_read_by_its_name(clip, model: str, tmp_path: Path) -> None:
    """As `evoxtral transcribe <(decode ...)` names it."""
    os.mkfifo(tmp_path / "pipe")
    data = Path(clip("a.wav")).read_bytes()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit((tmp_path / "pipe").write_bytes, data)
        assert run(str(tmp_path / "pipe"), "--model", model).stdout == TEXT + "\n"
        assert writing.result() == len(data)


def shell(arguments: str, model: str) -> "subprocess.CompletedProcess[str]":
    command = f"{sys.executable} -m evoxtral.cli.main transcribe --model {model} {arguments}"
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("redirection", "message"),
    [
        ("- <&-", "standard input: is closed"),
        ("{clip} >/dev/full", "standard output: cannot be written: No space"),
        ("{clip} >&-", "standard output: is closed"),
    ],
)
def test_streams_that_do_not_work_are_one_line(redirection: str, message: str, clip, model: str) -> None:
    done = shell(redirection.format(clip=clip("a.wav")), model)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr


def test_closed_streams_that_are_not_needed_do_no_harm(clip, model: str, tmp_path: Path) -> None:
    """Nothing that a library prints gets into a file that was opened in the place of a closed stream."""
    clip_path = clip("a.wav")
    assert shell(f"{clip_path} 2>&-", model).stdout == TEXT + "\n"
    (tmp_path / "bad.wav").write_bytes(b"nothing of the kind")
    done = shell(f"{clip_path} {tmp_path}/bad.wav --output-dir {tmp_path}/out <&- >&- 2>&-", model)
    assert done.returncode == 1
    assert (tmp_path / "out" / "a.txt").read_text() == TEXT + "\n"


def test_a_full_temporary_folder_is_one_line_and_the_rest_is_done(clip, model: str) -> None:
    """The system refuses files above 32 KiB, as a full disk would; standard input has more than memory is to hold."""
    clip_path = clip("a.wav")
    program = f"{sys.executable} -m evoxtral.cli.main transcribe --model {model} -"
    limited = f"ulimit -f 32; head -c 34M /dev/zero | {program}"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "-: cannot be kept in a temporary file" in done.stderr
    assert "TMPDIR" in done.stderr
    done = subprocess.run(["bash", "-c", f"{limited} {clip_path}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, f"==> {clip_path} <==\n{TEXT}\n")


def test_names_as_long_as_the_file_system_allows(clip, model: str, tmp_path: Path) -> None:
    long = "n" * 241
    out = tmp_path / "out"
    done = run(clip(f"{long}.wav"), "--model", model, "--format", "all", "--output-dir", str(out))
    assert done.return_value == 0
    assert sorted(path.name for path in out.iterdir()) == [f"{long}.{x}" for x in ("json", "srt", "tsv", "txt", "vtt")]


@pytest.fixture
def address(speech: np.ndarray, tmp_path: Path) -> Iterator[str]:
    """Where a server on this machine has `talk.wav`."""
    (tmp_path / "site").mkdir()
    soundfile.write(tmp_path / "site" / "talk.wav", speech, SAMPLE_RATE_HZ)

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "site"))

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_is_fetched_and_its_password_is_kept_to_oneself(address: str, model: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(f"http://me:hidden@{address}/talk.wav", "--model", model, "--format", "all", "--output-dir", str(out))
    assert (result.return_value, result.output) == (0, "")
    assert json.loads((out / "talk.json").read_text())["path"] == f"http://***@{address}/talk.wav"
    result = run(f"http://me:hidden@{address}/none.wav", f"http://{address}/talk.wav", "--model", model)
    assert (result.return_value, result.stdout) == (1, f"==> http://{address}/talk.wav <==\n{TEXT}\n")
    assert result.stderr.startswith(f"evoxtral: http://***@{address}/none.wav: answered 404 (Not Found)")


def test_offline_no_address_is_fetched(address: str, model: str) -> None:
    result = run(f"http://{address}/talk.wav", "--model", model, "--offline")
    assert (result.return_value, result.stderr.count("\n")) == (2, 1)
    assert "offline nothing is fetched" in result.stderr


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        (MemoryError(), None),
        (IndexError("list index\nout of range"), "IndexError: list index out of range"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (
            av.ArgumentError(22, "Invalid argument"),
            "ArgumentError: Invalid argument returned 22",
        ),
    ],
)
def test_whatever_a_recording_does_the_others_are_done_and_the_list_is_closed(
    failure: Exception, cause: str | None, clip, longer_clip, scripted_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine fails at the second of three as libraries do: each error stands for its kind."""
    clips = [clip("a.wav"), longer_clip("b.wav"), clip("c.wav")]

    def fail() -> None:
        raise failure

    monkeypatch.setattr("evoxtral.inference.load_engine", lambda *_, **__: at_longer(scripted_engine, fail))
    result = run(*clips, "--format", "json")
    assert result.return_value == 1
    assert [item["path"] for item in json.loads(result.stdout)] == [clips[0], clips[2]]
    line = f"cannot be transcribed: {cause}" if cause else "does not fit into the memory of this machine"
    assert result.stderr == f"evoxtral: {clips[1]}: {line}\n"


def test_of_several_sound_tracks_one_is_taken_and_said_or_named(speech: np.ndarray, model: str, tmp_path: Path) -> None:
    path = str(tmp_path / "two.mkv")
    with av.open(path, "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=SAMPLE_RATE_HZ, layout="mono") for _ in range(2)]
        for samples, stream in zip((np.zeros_like(speech), speech), streams, strict=True):
            frame = av.AudioFrame.from_ndarray((samples[None] * 32_000).astype(np.int16), "s16", "mono")
            frame.sample_rate = SAMPLE_RATE_HZ
            container.mux([*stream.encode(frame), *stream.encode(None)])
    heard = run(path, "--model", model, "--format", "json")
    assert json.loads(heard.stdout)["text"] == TEXT
    (note,) = json.loads(heard.stdout)["notes"]
    assert "track" in note
    assert heard.stderr == f"evoxtral: {path}: {note}\n"
    assert run(path, "--model", model, "--track", "1").stdout == "\n"
    refused = run(path, "--model", model, "--track", "3")
    assert (refused.return_value, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)


def test_interrupted_it_closes_the_list(
    clip, longer_clip, scripted_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes as a terminal's does, while the engine hears the second recording."""

    def interrupt() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    monkeypatch.setattr("evoxtral.inference.load_engine", lambda *_, **__: at_longer(scripted_engine, interrupt))
    result = run(clip("a.wav"), longer_clip("b.wav"), "--format", "json")
    assert isinstance(result.exception, click.Abort)
    assert [item["path"] for item in json.loads(result.stdout)] in ([], [str(Path(clip("a.wav")))])


def test_interrupted_while_standard_input_gives_nothing_it_ends(clip, model: str) -> None:
    program = [sys.executable, "-m", "evoxtral.cli.main", "transcribe", clip("a.wav"), "-", "--model", model]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith(b"a.wav <==\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read().strip() == b"evoxtral: interrupted"


def test_names_that_are_no_text_are_replaced_in_it(clip, model: str, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    os.rename(clip("a.wav"), name)  # noqa: PTH104
    result = run(name, clip("b.wav"), "--model", model, "--format", "json")
    assert [Path(item["path"]).name for item in json.loads(result.stdout)] == ["?.wav", "b.wav"]
    assert run(name, "--model", model, "--format", "all", "--output-dir", str(tmp_path / "out")).return_value == 0
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_json_of_one_is_an_object_and_of_several_a_list(clip, model: str) -> None:
    one = json.loads(run(clip("a.wav"), "--model", model, "--format", "json").stdout)
    assert (one["text"], one["plain_text"], one["engine"], one["model"]) == (TEXT, PLAIN, "ctranslate2", model)
    assert one["path"].endswith("a.wav")
    assert [word["word"] for word in one["words"]] == ["It", "WORKS!"]
    assert all(0 <= word["start_s"] <= word["end_s"] <= one["duration_s"] for word in one["words"])
    assert [(tag["tag"], tag["gap"]) for tag in one["tags"]] == [("excited", 0), ("laughs", 2)]
    several = json.loads(run(clip("a.wav"), clip("b.flac"), "--model", model, "--format", "json").stdout)
    assert [Path(item["path"]).name for item in several] == ["a.wav", "b.flac"]
    assert several[0] == one


def test_notes_go_to_standard_error_and_into_the_json_and_a_track_can_be_chosen(
    speech: np.ndarray, model: str, tmp_path: Path
) -> None:
    path = tmp_path / "two.mkv"
    with av.open(path, "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=SAMPLE_RATE_HZ, layout="mono") for _ in range(2)]
        for stream, gain in zip(streams, (0.0, 0.9), strict=True):
            samples = (speech * gain * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    note = "has 2 sound tracks; this is track 2"
    result = run(str(path), "--model", model, "--format", "json")
    told = json.loads(result.stdout)
    assert (told["text"], told["notes"]) == (TEXT, [note])
    assert result.stderr == f"evoxtral: {path}: {note}\n"
    silent = run(str(path), "--model", model, "--format", "json", "--track", "1")
    assert (json.loads(silent.stdout)["text"], "this is track 1" in silent.stderr) == ("", True)
    missing = run(str(path), "--model", model, "--track", "3")
    assert (missing.return_value, "has no sound track 3 (it has 2)" in missing.stderr) == (2, True)


def test_several_texts_have_headings(clip, model: str) -> None:
    a, b = clip("a.wav"), clip("b.wav")
    assert run(a, b, "--model", model).stdout == f"==> {a} <==\n{TEXT}\n\n==> {b} <==\n{TEXT}\n"


def test_plain_leaves_out_tags_and_emphasis(clip, model: str) -> None:
    assert run(clip("a.wav"), "--model", model, "--plain").stdout == PLAIN + "\n"
    assert "WORKS" not in run(clip("a.wav"), "--model", model, "--plain", "--format", "srt").stdout


def test_another_dialect_is_written_and_what_it_cannot_say_is_told(clip, model: str) -> None:
    done = run(clip("a.wav"), "--model", model, "--dialect", "orpheus")
    assert (done.return_value, done.stdout) == (0, "It WORKS! <laugh>\n")
    assert done.stderr == "tags: left out [excited] (1)\n"
    done = run(clip("a.wav"), "--model", model, "--dialect", "stage", "--format", "json")
    found = json.loads(done.stdout)
    assert found["text"] == found["segments"][0]["text"] == "*excited* It WORKS! *laughs*"
    assert [tag["tag"] for tag in found["tags"]] == ["excited", "laughs"]
    assert done.stderr == ""


def test_speakers_are_told_apart_on_demand(clip, model: str) -> None:
    spoken = json.loads(run(clip("a.wav"), "--model", model, "--format", "json", "--diarize").stdout)
    assert {word["speaker"] for word in spoken["words"]} == {"SPEAKER_1"}
    assert {segment["speaker"] for segment in spoken["segments"]} == {"SPEAKER_1"}
    assert run(clip("a.wav"), "--model", model, "--diarize").stdout == f"SPEAKER_1: {TEXT}\n"
    shown = {
        kind: run(clip("a.wav"), "--model", model, "--diarize", "--format", kind).stdout.splitlines()
        for kind in ("srt", "vtt", "tsv")
    }
    assert shown["srt"][2] == f"SPEAKER_1: {TEXT}"
    assert shown["vtt"][3] == f"<v SPEAKER_1>{TEXT}"
    assert shown["tsv"][0] == "start\tend\tspeaker\ttext"
    assert shown["tsv"][1].endswith(f"\tSPEAKER_1\t{TEXT}")


def test_a_folder_is_written_to_files_named_by_input(clip, model: str, tmp_path: Path) -> None:
    clip("in/a.wav")
    clip("in/deep/b.flac")
    (tmp_path / "in" / "notes.txt").write_text("not a recording")
    result = run(str(tmp_path / "in"), "--model", model, "--format", "all", "--output-dir", str(tmp_path / "out"))
    assert (result.return_value, result.stdout) == (0, "")
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    suffixes = ("json", "srt", "tsv", "txt", "vtt")
    assert written == [f"a.{suffix}" for suffix in suffixes] + [f"deep/b.{suffix}" for suffix in suffixes]
    assert (tmp_path / "out" / "a.txt").read_text() == TEXT + "\n"
    assert json.loads((tmp_path / "out" / "deep" / "b.json").read_text())["text"] == TEXT


def test_what_fails_is_named_and_the_rest_is_done(clip, model: str, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"nothing of the kind")
    good = clip("good.wav")
    result = run(str(tmp_path / "bad.wav"), good, str(tmp_path / "none.mp3"), "--model", model)
    assert result.return_value == 1
    assert result.stdout == f"==> {good} <==\n{TEXT}\n"
    first, second = result.stderr.splitlines()
    assert "bad.wav: is not audio" in first
    assert "none.mp3: cannot be read" in second


@pytest.mark.parametrize("content", [b"", b"nothing of the kind"])
def test_where_nothing_can_be_done_the_exit_code_is_2(content: bytes, model: str, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(content)
    result = run(str(tmp_path / "bad.wav"), "--model", model)
    assert (result.return_value, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1


def test_silence_is_an_empty_transcript(model: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(3 * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    result = run(str(tmp_path / "silence.wav"), "--model", model, "--format", "json")
    transcript = json.loads(result.stdout)
    assert (result.return_value, transcript["text"], transcript["words"], transcript["tags"]) == (0, "", [], [])


def test_an_output_folder_that_cannot_be_written_is_named(clip, model: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file, not a folder")
    result = run(clip("a.wav"), "--model", model, "--output-dir", str(tmp_path / "out" / "deeper"))
    assert f"{tmp_path}/out/deeper: cannot be made" in str(result.exception)


def test_an_output_that_cannot_be_written_is_named_and_the_rest_is_done(clip, model: str, tmp_path: Path) -> None:
    (tmp_path / "out" / "a.txt").mkdir(parents=True)
    result = run(clip("a.wav"), clip("b.wav"), "--model", model, "--output-dir", str(tmp_path / "out"))
    assert result.return_value == 1
    assert f"{tmp_path}/out/a.txt: cannot be written" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "b.txt"]
    assert (tmp_path / "out" / "b.txt").read_text() == TEXT + "\n"


def test_a_model_is_found_in_the_users_folder_by_its_name(clip, model: str) -> None:
    folder, name = Path(model).parent, Path(model).name
    assert run(clip("a.wav"), "--model-dir", str(folder), "--model", name, "--offline").stdout == TEXT + "\n"


def test_offline_a_model_that_is_not_there_is_one_line_with_the_command_that_fetches_it(clip, tmp_path: Path) -> None:
    options = ("--offline", "--model", "owner/none", "--model-dir", str(tmp_path / "models"))
    done = subprocess.run(
        [sys.executable, "-m", "evoxtral.cli.main", "transcribe", clip("a.wav"), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"owner/none: is not (whole) in {tmp_path}/models" in done.stderr
    assert f"hf download owner/none --cache-dir {tmp_path}/models" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["{folder}"], "no audio or video in"),
        (["a.wav", "--format", "doc"], "'doc' is not one of"),
        (["a.wav", "--format", "all"], "needs --output-dir"),
        (["a.wav", "b.wav", "--format", "srt"], "need --output-dir"),
        (["a.wav", "", "b.wav"], "a PATH is empty"),
        (["a.wav", "--max-speakers", "3"], "ask for diarize"),
        (
            ["a.wav", "--diarize", "--min-speakers", "3", "--max-speakers", "2"],
            "min_speakers is more than max_speakers",
        ),
        (["a.wav", "--dialect", "wesr", "--format", "srt"], "--dialect is for tagged txt and json"),
        (["a.wav", "--model", "no such model"], "no such model"),
    ],
)
def test_wrong_use_exits_with_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evoxtral.cli.main", "transcribe"]
        + [argument.format(folder=tmp_path) for argument in arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_many_recordings_take_no_more_memory_than_few(model: str, tmp_path: Path) -> None:
    """Of 120 recordings the last 90 add less than a tenth of a megabyte each; their samples alone are a fifth."""
    noise = np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE_HZ) * 0.1
    for number in range(120):
        soundfile.write(tmp_path / f"{number:03}.wav", noise, SAMPLE_RATE_HZ)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from evoxtral.cli.transcripts import OutputFolder\n"
        "write, resident = OutputFolder.write, []\n"
        "def write_and_weigh(self, item, transcript):\n"
        "    write(self, item, transcript)\n"
        "    resident.append(int(Path('/proc/self/statm').read_text().split()[1]) * 4096)\n"
        "OutputFolder.write = write_and_weigh\n"
        "from evoxtral.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(len(resident), resident[-1] - resident[30])\n"
    )
    arguments = ["transcribe", str(tmp_path), "--model", model, "--format", "json", "--output-dir", f"{tmp_path}/out"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    written, growth_bytes = map(int, done.stdout.split())
    assert written == 120
    assert growth_bytes < 90 * 100_000


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_opens_nothing_that_it_names(kind: str, clip, model: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/a.mp3"
        playlist = tmp_path / "list.m3u8"
        playlist.write_text(PLAYLISTS[kind].format(file=clip("secret.wav"), address=address))
        done = run(str(playlist), "--model", model)
        assert (done.return_value, done.stdout) == (2, "")
        assert done.stderr.startswith(f"evoxtral: {playlist}: ")
        assert done.stderr.count("\n") == 1
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("name", ["concat:{0}|{0}", "file:{0}", "subfile,,start,0,end,0,,:{0}", "data:audio/wav,x"])
def test_protocols_of_ffmpeg_are_names_of_files_that_are_not_there(name: str, clip, model: str) -> None:
    done = run(name.format(clip("a.wav")), "--model", model)
    assert (done.return_value, done.stdout) == (2, "")
    assert "cannot be read: No such file or directory" in done.stderr
