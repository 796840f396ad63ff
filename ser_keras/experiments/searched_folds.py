"""The folds on which a search chose a recipe, so that their speakers are not tested with it."""

from pathlib import Path

from ser_keras.files import read_json
from ser_keras.protocols import Fold, Protocol

# The files in the folder of a search.
BEST, RESULT, PROTOCOL = "best.yaml", "search.json", "protocol.json"


def searched_folds(recipe: str | Path) -> tuple[Fold, ...]:
    """Returns the folds of the search that a recipe is the result of; none for other recipes.

    The files beside the recipe identify it; a copy in another folder is not recognised.

    Args:
        recipe: name or file, as on the command line.

    Raises:
        SchemaError: a file beside it cannot be read.
    """
    path = Path(recipe)
    result = path.with_name(RESULT)
    if path.name != BEST or not result.is_file():
        return ()
    remedy = "Remove this file and give the `ser tune` command again: finished trials are kept."
    names = read_json(result, "the result of a search", remedy, keys=["folds"])["folds"]
    protocol = Protocol.load(path.with_name(PROTOCOL))
    return tuple(fold for fold in protocol.folds if fold.name in names)
