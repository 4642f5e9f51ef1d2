"""Speaks the scripts of a corpus with any speech engine: scripts in, audio files and `clips.jsonl` out.

Knows how work is spread over processes or network requests, and in which order its results reach the disk; knows
nothing of how an engine makes speech, nor of what happens to clips afterwards.

A clip is made in two steps, so that what a kill at any instant leaves behind can be used:

1. Its audio file, with the whole clip record inside (in the comment field of the FLAC or Opus file), is written under
   a temporary name, synced, and renamed. From here on the clip is finished.
2. The same record is appended to the journal, and synced.

A run that starts again adopts every audio file that holds the record of a clip it was about to make, so nothing
between the steps is lost or paid twice, and makes what is left. A clip whose audio file was deleted is made again.
"""

from evoxtral.corpus.synthesis.casting import Take, cast
from evoxtral.corpus.synthesis.run_state import SynthesisReport
from evoxtral.corpus.synthesis.speaking import Plan, plan, synthesize

__all__ = ["Plan", "SynthesisReport", "Take", "cast", "plan", "synthesize"]
