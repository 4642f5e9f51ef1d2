"""Training: from tagged clips to an adapter, merged weights and an edge model, by one recipe.

    recipe     what a run is                    clips, windows     what the model hears and must write
    runner     its stages, in order             survey             what the corpora hold
    supervised, preference  the stages          family, whisper, voxtral  what differs between models
    fitting, trainer        optimisation        objectives, losses what is minimised
    planning, estimates     the dry run         augment            the sound, on the device
    tracking, provenance    what is recorded    adapters, export, card    what comes out

The names below need no torch. Knows no bench: scores and rewards are passed in.
"""

from evoxtral.training.recipe import Recipe, load_recipe
from evoxtral.training.stages import plan_recipe, run_recipe

__all__ = ["Recipe", "load_recipe", "plan_recipe", "run_recipe"]
