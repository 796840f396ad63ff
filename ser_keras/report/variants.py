"""What a cross-validation says of its settings: whose they are, what was changed, what was cut."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ser_keras.config import load_config, recipe_names
from ser_keras.training.history import kept_epoch

SETTINGS = {"paper": "the paper's", "ours": "ours"}
# The keys whose change makes another row of a paper's table, and not another training of the same.
VARIANT_SECTIONS = ("spec", "model", "objective", "unlabelled", "batch", "select", "precision")


def variant(result: Mapping[str, Any]) -> list[str]:
    """Returns what tells a run from its paper's recipe, such as `head=gap`.

    Epochs are no variant: a run with fewer of them is not complete, see `has_all_epochs`.
    """
    words = []
    for name, config in result["recipes"].items():
        if name not in recipe_names():
            continue
        if name != result["model"]:
            words.append(name.removeprefix(result["model"]).strip("-"))
        recipe = _leaves(load_config(name).to_dict())
        words += [
            f"{key.rpartition('.')[2]}={str(value).lower()}"
            for key, value in sorted(_leaves(config).items())
            if key.startswith(VARIANT_SECTIONS) and recipe.get(key) != value
        ]
    return words


def on_frames_alone(result: Mapping[str, Any]) -> bool:
    """Whether a model that can have functionals beside its attention was trained without them.

    Example:
        >>> options = {"speaker": {"average_frames": 2, "functionals": 0}}
        >>> on_frames_alone({"recipes": {"x": {"model": {"options": options}}}})
        True
    """
    speakers = [
        recipe.get("model", {}).get("options", {}).get("speaker")
        for recipe in result["recipes"].values()
    ]
    sizes = [speaker.get("functionals", 0) for speaker in speakers if speaker is not None]
    return bool(sizes) and not any(sizes)


def for_one_track_alone(result: Mapping[str, Any]) -> bool:
    """Whether a recipe for both tracks was trained on one of them, as each member of an ensemble.

    Example:
        >>> for_one_track_alone({"recipes": {"x": {"adaptation": {"blind_share": 0}}}})
        True
        >>> for_one_track_alone({"recipes": {"x": {"adaptation": {"blind_share": 0.3}}}})
        False
    """
    trained = result.get("members") or [result]
    recipes = [recipe for model in trained for recipe in model["recipes"].values()]
    shares = [recipe.get("adaptation", {}).get("blind_share") for recipe in recipes]
    return bool(shares) and all(share in (0, 1) for share in shares)


def further_sets(result: Mapping[str, Any]) -> list[str]:
    """Returns the further sets that a run was trained on, such as `ravdess unlabelled`.

    Example:
        >>> further_sets({"folds": [{"joint_sets": [{"dataset": "emodb"}]}]})
        ['emodb joint']
    """
    return [
        f"{dataset} {use}"
        for use in ("unlabelled", "joint")
        for dataset in sorted(
            {
                part["dataset"]
                for fold in result.get("folds", ())
                for part in fold.get(f"{use}_sets", ())
            }
        )
    ]


def _leaves(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested mappings as one, from keys such as `model.options.head`."""
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping)
        leaves |= _leaves(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return leaves


def settings_in_words(result: Mapping[str, Any]) -> str:
    """Returns whose settings they are, with what was cut: `ours, 5 of 60 epochs`."""
    words = [SETTINGS[result["settings"]]]
    if models := Counter(member["model"] for member in result.get("members", ())):
        words.append(f"mean of {', '.join(f'{models[name]} {name}' for name in sorted(models))}")
    if result["settings"] == "paper":
        words += variant(result)
    elif on_frames_alone(result):
        words.append("frames alone")
    if for_one_track_alone(result):
        words.append("for this track alone")
    words += further_sets(result)
    if result["chosen"]:
        words.append("chosen per fold")
    for name in sorted(set(result["recipes"]) & set(recipe_names())):
        epochs, recipe_epochs = result["recipes"][name]["epochs"], load_config(name).epochs
        if epochs < recipe_epochs:
            words.append(f"{epochs} of {recipe_epochs} epochs")
    return ", ".join(words)


def is_complete(result: Mapping[str, Any]) -> bool:
    """Whether every fold of the protocol was trained, each for all epochs of its recipe."""
    protocol = result["protocol"]
    return protocol["folds_run"] == protocol["folds"] and has_all_epochs(result)


def has_all_epochs(result: Mapping[str, Any]) -> bool:
    """Whether each fold was trained for all epochs of its recipe, or until early stopping."""
    if members := result.get("members"):
        return all(map(has_all_epochs, members))
    for fold in result["folds"]:
        name = fold.get("recipe", next(iter(result["recipes"])))
        config = result["recipes"][name]
        recipe_epochs = load_config(name).epochs if name in recipe_names() else config["epochs"]
        # A member of an ensemble has the numbers without the history.
        epochs = fold["epochs_run"] if "epochs_run" in fold else len(fold["history"])
        kept = fold["epoch"] if "epochs_run" in fold else kept_epoch(fold["history"]) + 1
        stopped = config["select"] == "validation" and epochs - kept >= config["patience"]
        if config["epochs"] < recipe_epochs or (epochs < recipe_epochs and not stopped):
            return False
    return True


def speakers_tested(result: Mapping[str, Any]) -> int:
    """Returns how many speakers the folds of a result tested."""
    return len({name for fold in result["folds"] for name in fold["test_speakers"]})


def seed_of(result: Mapping[str, Any]) -> int:
    """Returns the seed of the trainings of a result.

    Example:
        >>> seed_of({"recipes": {"moma": {"seed": 2}}}), seed_of({"recipes": {}})
        (2, 0)
    """
    seeds = [recipe.get("seed", 0) for recipe in result["recipes"].values()]
    return int(seeds[0]) if seeds else 0
