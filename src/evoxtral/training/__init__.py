"""Training: from tagged clips to an adapter, merged weights and an edge model, by one recipe.

    recipe       what a run is                     clips, packing       what the model hears and must write
    stages       a run's stages, in order          survey               what the corpora hold
    run_context  what a stage sees of its run      changes              what a changed recipe touches
    supervised, preference  the stages that train  base_model, trainee  the pretrained model, of any family
    fitting, trainer        optimisation           batches, objectives, losses  what is minimised
    dry_run, estimates      the plan of a run      augment              the sound, on the device
    tracking, provenance    what is recorded       quick_scores         scores while it runs
    adapters, export        what comes out

The names below need no torch. Knows neither bench nor hub: scores, rewards and the
writer of cards are passed in. What differs between models is in `evoxtral.models.families`.
"""

from evoxtral.training.recipe import Recipe, load_recipe
from evoxtral.training.stages import plan_recipe, run_recipe

__all__ = ["Recipe", "load_recipe", "plan_recipe", "run_recipe"]
