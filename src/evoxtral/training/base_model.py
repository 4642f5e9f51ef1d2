"""A recipe's base, looked at before its weights are loaded or even fetched. Imports no torch."""

from evoxtral.errors import ModelError, RecipeError
from evoxtral.models.checkpoints import find_configuration
from evoxtral.models.families.protocol import Family
from evoxtral.models.families.registry import family_in, find_family
from evoxtral.training.recipe import Recipe


def check_base(recipe: Recipe) -> Family:
    """The recipe's family, which the base belongs to; of the hub, the base's configuration alone is fetched.

    Raises:
        ModelError: the base is missing, cannot be fetched, or is of a type that no family has.
        RecipeError: it is of another family than the recipe says.
    """
    family = find_family(recipe.family)
    found = family_in(find_configuration(recipe.base_source), name=recipe.base_source)
    if found is None:
        raise ModelError(
            f"{recipe.base_source}: cannot be loaded as a pretrained model: it has no config.json with a model_type",
            "set base to a hub id, or base_folder to a folder in Hugging Face format",
        )
    if found.name != family.name:
        raise RecipeError(
            f"{recipe.base_source}: is a {found.title} model, and the recipe's family is {family.name}",
            f"write family: {found.name}, or name another base",
        )
    return family
