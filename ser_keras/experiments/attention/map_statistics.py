"""The claims of MOMA's Sec. 5.1 as statistics of attention maps, over a run's test parts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ser_keras.data.batches import evaluation_batches
from ser_keras.data.segments import Segments
from ser_keras.errors import ConfigError
from ser_keras.experiments.evaluate import TrainedFold, open_fold, trained_folds
from ser_keras.layers.time_mask import StridedMask
from ser_keras.metrics import mean_interval
from ser_keras.models.attention.map_statistics import describe_maps, mean_description, rounded

MAPS = ("attention", "attention_layer1", "attention_blocks", "gamma")
ABOUT = ("key", "speaker", "label", "fold")
ENTROPY, VARIATION, CORRELATION = "entropy", "total_variation", "correlation"
# Cohen (1988, Sec. 3.2) calls correlations from 0.5 on large. The paper gives no number.
LOOSE = 0.5
HOLDS, FAILS, OPEN = "holds", "does not hold", "open"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, and a quantity that is above 0 if the claim holds.

    Args:
        name: str. The claim in short.
        source: str. Section of the paper.
        quantity: str. What is measured, in words.
        value: computes it from the values of one utterance; returns None if it is not defined.
        remark: str. A note for the reader.
    """

    name: str
    source: str
    quantity: str
    value: Callable[[dict[str, float | None]], float | None]
    remark: str = ""


@dataclass(frozen=True)
class AttentionStatistics:
    """The result of `attention_statistics`.

    Args:
        result: dict ready for JSON, see there.
        files: one dict per utterance, ready for CSV: "key", "speaker", "label", "fold", and every
            quantity by its name, None if it is not defined.
    """

    result: dict[str, Any]
    files: list[dict[str, Any]]


def attention_statistics(
    run: Path, features: Path, progress: Callable[[str], None] | None = None
) -> AttentionStatistics:
    """Returns entropy, total variation and correlation of MOMA's maps over the test parts of a run.

    Implements the claims of Jalal et al. 2020, Sec. 5.1 for layer 1, each block of layer 2 and
    their mixture. The model of each fold reads its own test part, so no utterance is read by a
    model that was trained on it. If models read segments, the values of an utterance are means over
    its segments. Means are over utterances. Their 95 % intervals are over speakers, or over
    utterances if only one speaker was tested.

    Args:
        run: folder of `ser train` or `ser crossval` with MOMA's mixture.
        features: output folder of `ser features`.
        progress: called with the name of each fold before it is scored.

    Returns:
        "maps" and "correlations" with mean, interval, quartiles and number of utterances of every
        quantity; "claims" with the same and a "verdict": "holds" or "does not hold" if the whole
        interval is on one side of 0, else "open"; "gamma" of every fold; and facts about the data.

    Raises:
        ConfigError: the run's models have no attention in two layers.
        SchemaError: features of another spec.
    """
    files, gammas = [], {}
    for name in trained_folds(run):
        fold = open_fold(run, features, name)
        if not set(MAPS) <= set(fold.model.output):
            raise ConfigError(
                f"{run}: found a run of {fold.config.model.name} without attention in two layers, "
                "expected one of moma with model.options.attention=mixture; the claims are about "
                "the two layers of that."
            )
        if progress is not None:
            progress(name)
        rows, gammas[name] = _of_fold(fold)
        files += rows
    files.sort(key=lambda row: row["key"])
    speakers = len({row["speaker"] for row in files})
    group = "speaker" if speakers > 1 else "key"
    quantities = [name for name in files[0] if name not in ABOUT]
    groups = [row[group] for row in files]
    summaries = {name: summary([row[name] for row in files], groups) for name in quantities}
    result = {
        "model": fold.config.model.name,
        "dataset": fold.feature_set.schema.name,
        "spec": fold.config.spec,
        "folds": list(gammas),
        "utterances": len(files),
        "speakers": speakers,
        "intervals_over": "speakers" if group == "speaker" else "utterances",
        "gamma": gammas,
        "maps": _by_map(summaries),
        "correlations": _correlations(summaries),
        "claims": [_judge(claim, files, group) for claim in _claims(quantities)],
    }
    return AttentionStatistics(result, files)


def _of_fold(fold: TrainedFold) -> tuple[list[dict[str, Any]], list[float]]:
    """Returns the quantities of every utterance of the fold's part, and gamma."""
    rows_of = {row.key: row for row in fold.feature_set.rows}
    descriptions: dict[str, list[dict[str, Any]]] = {}
    gamma: list[float] = []
    for key, maps in _maps(fold):
        gamma = [rounded(share) or 0.0 for share in maps.pop("gamma")]
        descriptions.setdefault(key, []).append(describe_maps(maps))
    rows = []
    for key, segments in descriptions.items():
        about = {"key": key, "speaker": rows_of[key].speaker, "label": rows_of[key].label}
        rows.append(about | {"fold": fold.name} | _flat(mean_description(segments)))
    return rows, gamma


def _maps(fold: TrainedFold) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yields (key, maps without padding) of every utterance or segment of the fold's part."""
    model, batch = fold.model, fold.config.batch
    # A strided convolution shortens the sequence; its StridedMask marks the real frames.
    strided = [layer.output for layer in model.layers if isinstance(layer, StridedMask)]
    mask = strided[-1] if strided else model.input["mask"]
    outputs = {name: model.output[name] for name in MAPS}
    reader = keras.Model(model.input, outputs | {"real": mask})
    reader.jit_compile = False  # see `predict`
    fixed = keras.backend.backend() != "tensorflow"
    segments = Segments(batch.segment_frames, batch.test_hop)
    for keys, inputs, _ in evaluation_batches(
        fold.part, batch.size, batch.bucket_frames, fixed, segments
    ):
        arrays = reader.predict_on_batch(inputs)
        counts = np.sum(arrays.pop("real"), axis=1)
        for number, (key, count) in enumerate(zip(keys, counts, strict=True)):
            maps = {name: values[number, ..., :count] for name, values in arrays.items()}
            yield str(key), maps | {"gamma": arrays["gamma"][number]}


def _flat(described: dict[str, Any]) -> dict[str, float | None]:
    values = {
        f"{quantity} {name}": value
        for name, quantities in described["maps"].items()
        for quantity, value in quantities.items()
    }
    pairs = described["correlations"].items()
    return values | {f"{CORRELATION} {name}": value for name, value in pairs}


def _by_map(summaries: dict[str, Any]) -> dict[str, Any]:
    by_map: dict[str, Any] = {}
    for name, summary in summaries.items():
        quantity, _, map_name = name.partition(" ")
        if quantity != CORRELATION:
            by_map.setdefault(map_name, {})[quantity] = summary
    return by_map


def _correlations(summaries: dict[str, Any]) -> dict[str, Any]:
    prefix = f"{CORRELATION} "
    return {
        name.removeprefix(prefix): summary
        for name, summary in summaries.items()
        if name.startswith(prefix)
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return rounded(float(np.mean(known))) if known else None


def summary(values: Sequence[float | None], groups: Sequence[str]) -> dict[str, Any]:
    """Returns mean, interval, quartiles and number of the defined values.

    Args:
        values: a value of each utterance; None or nan where it is not defined.
        groups: of each utterance, such as its speaker. The interval, over groups, needs two.
    """
    known = [
        (value, group)
        for value, group in zip(values, groups, strict=True)
        if value is not None and not np.isnan(value)
    ]
    result: dict[str, Any] = {"utterances": len(known), "mean": None, "interval": None}
    if known:
        numbers, groups = zip(*known, strict=True)
        quartiles = np.quantile(numbers, [0.25, 0.5, 0.75])
        result["mean"] = rounded(float(np.mean(numbers)))
        result["quartiles"] = [rounded(value) for value in quartiles]
        if len(set(groups)) > 1:
            result["interval"] = [rounded(end) for end in mean_interval(numbers, groups)[1:]]
    return result


# === Claims ===


def _claims(quantities: Sequence[str]) -> list[Claim]:
    """Returns the claims about maps of these quantities."""
    blocks = [name for name in quantities if name.startswith(f"{VARIATION} block")]

    def difference(minuends: Sequence[str], subtrahend_name: str) -> Callable[..., float | None]:
        def value(row: dict[str, float | None]) -> float | None:
            minuend, subtrahend = _mean([row[name] for name in minuends]), row[subtrahend_name]
            return None if minuend is None or subtrahend is None else minuend - subtrahend

        return value

    def looseness(row: dict[str, float | None]) -> float | None:
        absolute = row[f"{CORRELATION} blocks, absolute"]
        return None if absolute is None else LOOSE - absolute

    return [
        Claim(
            "layer 2 is smoother than layer 1",
            "Sec. 5.1, Figs. 2-5",
            "total variation of layer 1 less that of the mixture",
            difference([f"{VARIATION} layer 1"], f"{VARIATION} mixture"),
        ),
        Claim(
            "the attention of layer 2 is better distributed than that of layer 1",
            "Sec. 5.1, Figs. 2-5",
            "entropy of the mixture less that of layer 1",
            difference([f"{ENTROPY} mixture"], f"{ENTROPY} layer 1"),
        ),
        Claim(
            "the blocks are loosely correlated",
            "Sec. 3.2 and 5.1",
            f"{LOOSE} less the mean absolute correlation of two blocks",
            looseness,
            f"The paper names no number; from {LOOSE} on a correlation is called large.",
        ),
        Claim(
            "adding the blocks smooths their attention",
            "Sec. 3.2",
            "mean total variation of the blocks less that of the mixture",
            difference(blocks, f"{VARIATION} mixture"),
            "While no gamma is negative, the mixture cannot vary more than the mean of its blocks "
            "weighted by gamma; here the plain mean is compared.",
        ),
    ]


def _judge(claim: Claim, files: Sequence[dict[str, Any]], group: str) -> dict[str, Any]:
    differences = summary([claim.value(row) for row in files], [row[group] for row in files])
    verdict = OPEN
    if differences["interval"] is not None:
        low, high = differences["interval"]
        verdict = HOLDS if low > 0 else FAILS if high < 0 else OPEN
    facts = {"claim": claim.name, "source": claim.source, "quantity": claim.quantity}
    return facts | differences | {"verdict": verdict, "remark": claim.remark}
