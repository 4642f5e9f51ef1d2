"""The errors that Evoxtral raises for its users.

Every error says what is wrong (`message`) and, where there is a remedy, what to do (`hint`). The command line
prints both on one line and the server puts them into a problem document; nothing here knows of either.
"""


class EvoxtralError(Exception):
    """Base of all expected failures.

    Args:
        message: what is wrong, naming the file, tag, voice, ... concerned; one line.
        hint: the command or setting that mends it; one line, or None where there is none.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message} ({hint})")
        self.message = message
        self.hint = hint


class AudioError(EvoxtralError):
    """The input is not audio that can be used: undecodable, truncated, empty, NaN samples."""


class TooLongError(AudioError):
    """The recording is longer than the caller takes."""


class ModelError(EvoxtralError):
    """A model is missing, is incomplete, or is not of the kind that was asked for."""


class VoiceError(EvoxtralError):
    """A text-to-speech engine or voice is unknown or not installed."""


class NothingToSpeakError(VoiceError):
    """A text holds no word and no sound that the voice can speak."""


class CorpusError(EvoxtralError):
    """A corpus folder or one of its files is missing, malformed or inconsistent."""


class RecipeError(EvoxtralError):
    """A training recipe is malformed or asks for something impossible."""


class ScoreError(EvoxtralError):
    """References and hypotheses cannot be scored against each other."""


class HubError(EvoxtralError):
    """The Hugging Face Hub refuses an upload, or a folder is not fit to be published."""


class ServerError(EvoxtralError):
    """A server cannot be reached, refuses a request, or ends a stream.

    Attributes:
        status: the HTTP status that it answered; None where no answer came.
    """

    def __init__(self, message: str, hint: str | None = None, *, status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


_LONGEST_CAUSE_CHARACTERS = 300


def told_error(error: Exception, name: str, what: str) -> EvoxtralError:
    """Any error as a user is told it, in one line, also one that nobody foresaw.

    Args:
        name: the file concerned.
        what: what went wrong with it, such as "cannot be transcribed".
    """
    if isinstance(error, EvoxtralError):
        return error
    if isinstance(error, MemoryError):
        return EvoxtralError(f"{name}: does not fit into the memory of this machine")
    cause = " ".join(str(error).split())[:_LONGEST_CAUSE_CHARACTERS]
    return EvoxtralError(f"{name}: {what}: {type(error).__name__}{': ' if cause else ''}{cause}")
