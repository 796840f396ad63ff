"""The rows of a table: results of one recipe with several seeds, as their mean."""

import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.report.baselines import baseline_facts, track_of
from ser_keras.report.variants import seed_of, settings_in_words

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """Results of one recipe on the same folds and track, of one seed each.

    Args:
        results: tuple of cross-validations, in order of their seeds.
    """

    results: tuple[Result, ...]

    @property
    def first(self) -> Result:
        """The result of the first seed, for what all of them have in common."""
        return self.results[0]

    @cached_property
    def ua(self) -> float:
        """UA, mean over seeds."""
        return float(np.mean([result["pooled"]["ua"] for result in self.results]))

    @cached_property
    def wa(self) -> float:
        """WA, mean over seeds."""
        return float(np.mean([result["pooled"]["wa"] for result in self.results]))

    @cached_property
    def ua_interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval of the mean UA, by resampling speakers."""
        if "by_speaker" not in self.first:
            # A result of an earlier version; it is alone in its row.
            low, high = self.first["pooled"]["ua_interval"]
            return low, high
        _, low, high = metrics.mean_over_seeds([result["by_speaker"] for result in self.results])
        return low, high

    @property
    def cpu_minutes(self) -> float | None:
        """CPU minutes of a fold's training and test, mean; None where they were not recorded."""
        return self._minutes("cpu_seconds")

    @property
    def clock_minutes(self) -> float | None:
        """The same by the clock, with everything else that the machine did in the meantime."""
        return self._minutes("train_seconds")

    def _minutes(self, key: str) -> float | None:
        seconds = [result["cost"].get(key) for result in self.results]
        if None in seconds:
            return None
        folds = [len(result["folds"]) for result in self.results]
        return sum(seconds) / sum(folds) / 60

    def baseline(self, baselines: Iterable[Result]) -> dict[str, Any] | None:
        """Returns the baseline on the row's folds and track, see `baseline_facts`."""
        return baseline_facts(baselines, *self.results)


def rows_of(results: Iterable[Result]) -> list[Row]:
    """Returns the rows of a table, in order of their first results.

    Results share a row if data, folds, track and recipe are the same, apart from the seed.

    Args:
        results: cross-validations.
    """
    rows: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        rows.setdefault(_key(result), []).append(result)
    return [Row(tuple(sorted(row, key=seed_of))) for row in rows.values()]


def best_rows(rows: Iterable[Row], key_of: Callable[[Result], Hashable]) -> dict[Any, Row]:
    """Returns the row of the highest UA for each key, in order of the keys' first rows.

    Args:
        rows: see `rows_of`.
        key_of: function from a row's first result to its key.
    """
    best: dict[Any, Row] = {}
    for row in rows:
        key = key_of(row.first)
        best[key] = max(best.get(key, row), row, key=lambda row: row.ua)
    return best


def _key(result: Result) -> tuple[str, ...]:
    recipes = {
        name: {key: value for key, value in recipe.items() if key != "seed"}
        for name, recipe in result["recipes"].items()
    }
    for name, recipe in recipes.items():
        # How much speech a speaker needs makes no difference where every speaker had it.
        if "adaptation" in recipe and not result.get("not_adapted"):
            adaptation = {k: v for k, v in recipe["adaptation"].items() if k != "least_s"}
            recipes[name] = recipe | {"adaptation": adaptation}
    folds = sorted(fold["fold"] for fold in result["folds"])
    return (
        *(result["dataset"], result["protocol"]["sha256"], track_of(result), result["model"]),
        settings_in_words(result),
        json.dumps([recipes, folds, "by_speaker" in result], sort_keys=True),
    )
