"""The commands of `evoxtral` by name, and how their errors become one line and an exit code.

Knows the names of the commands and nothing of what they do. A command's module is imported when that command
runs, so that `evoxtral --help` stays fast. Exit codes: 0 done, 1 some inputs failed, 2 wrong use or nothing done.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

import evoxtral

# name -> (module, help line). The module defines `command`.
COMMANDS = {
    "transcribe": ("evoxtral.cli.transcribe", "Turn recordings into text with audio tags."),
    "batch": ("evoxtral.cli.batch", "Transcribe very many recordings, on one machine or many."),
    "listen": ("evoxtral.cli.listen", "Transcribe a microphone live, or a recording in real time."),
    "speak": ("evoxtral.cli.speak", "Speak tagged text."),
    "respeak": ("evoxtral.cli.respeak", "Transcribe a recording and speak it again."),
    "serve": ("evoxtral.cli.serve", "Serve transcription, speech and the Studio over HTTP."),
    "corpus": ("evoxtral.cli.corpus", "Make training data: scripts, speech, dataset."),
    "train": ("evoxtral.cli.train", "Run a training recipe."),
    "bench": ("evoxtral.cli.bench", "Measure tagged transcription."),
    "hub": ("evoxtral.cli.hub", "Publish on the Hugging Face Hub; export for vLLM and others."),
    "doctor": ("evoxtral.cli.doctor", "Tell what this machine can run."),
}


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it is run or its own help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(evoxtral.__version__, prog_name="evoxtral")
def cli() -> None:
    """Speech to text that keeps the delivery: words with inline audio tags."""


def run(arguments: Sequence[str] | None) -> int:
    """Run a command line (by default the process's own); gives the exit code, after telling what went wrong."""
    from evoxtral.errors import EvoxtralError

    try:
        status: Any = cli.main(args=arguments, prog_name="evoxtral", standalone_mode=False)
    except EvoxtralError as error:
        click.echo(f"evoxtral: {error}", err=True)
        status = 2
    except click.Abort:
        click.echo("evoxtral: interrupted", err=True)
        status = 130
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except click.ClickException as error:
        error.show()
        status = 2
    except BrokenPipeError:
        # The reader of our output went away (`evoxtral ... | head`): nothing is wrong here.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    return status if isinstance(status, int) else 0
