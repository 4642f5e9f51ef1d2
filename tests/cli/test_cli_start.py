"""The program starts light, and Ctrl-C at any moment of its start is not an error."""

import signal
import subprocess
import sys

import pytest

# What may not be imported before a command needs it: each takes a tenth of a second or more, or is an extra.
HEAVY = {"av", "ctranslate2", "datasets", "fastapi", "httpx", "numpy", "onnxruntime", "pydantic", "rich", "torch"}


def python(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], ["no-such-command"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, sep='\\n'))\n"
        "from evoxtral.cli.main import main; main(sys.argv[1:])\n"
    )
    imported = set(python(program, *arguments).stdout.splitlines())
    assert "evoxtral.cli.commands" in imported
    assert imported & HEAVY == set()


@pytest.mark.parametrize("command", ["transcribe", "speak", "serve", "corpus", "train", "bench", "doctor"])
def test_a_commands_help_imports_no_torch(command: str) -> None:
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, sep='\\n'))\n"
        "from evoxtral.cli.main import main; main(sys.argv[1:])\n"
    )
    done = python(program, command, "--help")
    assert done.stdout.startswith(f"Usage: evoxtral {command}")
    assert set(done.stdout.splitlines()) & {"torch", "transformers", "datasets", "ctranslate2"} == set()


@pytest.mark.parametrize("module", ["evoxtral.cli.main", "click", "evoxtral.cli.transcribe", "numpy", "ctranslate2"])
def test_an_interrupt_while_a_module_is_imported_shows_no_traceback(module: str) -> None:
    """Ctrl-C comes at the very moment that `module` is looked for; of the entry point's, when it has been found."""
    program = (
        "import os, signal, sys\n"
        "class Interrupter:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == sys.argv[1]: os.kill(os.getpid(), signal.SIGINT)\n"
        "from evoxtral.cli import main\n"
        "if sys.argv[1] != main.__name__: sys.meta_path.insert(0, Interrupter())\n"
        "else: main._hold_standard_descriptors = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
        "main.main(['transcribe', 'a.wav'])\n"
    )
    done = python(program, module)
    assert done.returncode in (-signal.SIGINT, 130)
    assert done.stderr.strip() in ("", "evoxtral: interrupted")


def test_a_job_that_ignores_interrupts_goes_on_doing_so() -> None:
    program = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from evoxtral.cli.main import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)\n"
    )
    assert python(program).stdout.splitlines()[-1] == "True"
