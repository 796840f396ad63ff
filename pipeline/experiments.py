"""The papers' experiments: corpus, protocol, recipe, variants, and the numbers they report.

Percentages are the papers' own, in ordinary WA and UA, but for MOMA's: its Eq. 10 counts true
negatives, so its two numbers are means of one-against-rest accuracies and stand under the names
that these have in `ser_keras.metrics`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ser_keras.errors import ConfigError, unknown_name


@dataclass(frozen=True)
class Variant:
    """One row of a paper's table.

    Args:
        name: str. What the row is called.
        published: mapping of metric name to percent.
        changes: tuple of `key=value` on the recipe.
        recipe: str. Another recipe than the experiment's, or "".
    """

    name: str
    published: Mapping[str, float] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    recipe: str = ""


@dataclass(frozen=True)
class Experiment:
    """What a paper did on one corpus.

    Args:
        system: str. The model's name.
        corpus: str. The reader's name.
        protocol: str. A protocol of `ser_keras.protocols`.
        recipe: str. The paper's settings.
        source: str. Paper and table.
        variants: tuple of Variant.
        class_set: str or None. The protocol's own where None.
        folds: tuple of str. Only these; all where empty.
        note: str. What a reader must know to compare.
    """

    system: str
    corpus: str
    protocol: str
    recipe: str
    source: str
    variants: tuple[Variant, ...]
    class_set: str | None = None
    folds: tuple[str, ...] = ()
    note: str = ""


def _wa_ua(wa: float, ua: float) -> dict[str, float]:
    return {"wa": wa, "ua": ua}


_AUTOENCODER = "Semi-supervised sparse autoencoder, Table I"
_UNSTATED = "The paper does not say how it splits; {} is ours, and harder than a random split."


EXPERIMENTS = (
    Experiment(
        "moma",
        "iemocap",
        "iemocap-session5",
        "moma",
        "MOMA, Table 1",
        (
            Variant(
                "mixture of 3",
                {"mean_binary_accuracy": 80.5, "mean_binary_balanced_accuracy": 74.8},
            ),
            Variant("single attention", changes=("model.options.attention=single",)),
            Variant("mean pooling", changes=("model.options.attention=none",)),
            *(
                Variant(f"mixture of {n}", changes=(f"model.options.blocks={n}",))
                for n in (1, 2, 5)
            ),
            Variant("scaled by length", changes=("model.options.scale_by_length=true",)),
        ),
        note="The paper's UA and WA count true negatives (Eq. 10); its UA of 80.5 is a WA of 61.0.",
    ),
    Experiment(
        "predictive_vrnn",
        "ravdess",
        "ravdess-speaker-dependent-5",
        "predictive_vrnn",
        "Predictive VRNN, Table 1",
        (
            Variant("literal reading", {"wa": 78.5}),
            Variant("without attention", {"wa": 79.9}, ("model.options.attention=false",)),
        ),
        folds=("part1",),
        note="A random split of 80 to 20: speakers and sentences are shared.",
    ),
    Experiment(
        "predictive_vrnn",
        "iemocap",
        "iemocap-improvised-session",
        "predictive_vrnn-iemocap",
        "Predictive VRNN, Table 1",
        (
            Variant("literal reading", {"wa": 65.5}),
            Variant("without attention", {"wa": 64.4}, ("model.options.attention=false",)),
            Variant("short files dropped", {}, ("batch.drop_shorter_s=2.0",)),
        ),
        note="Five folds by session in the paper; here both actors of the fifth test in turn.",
    ),
    Experiment(
        "attention_cnn",
        "iemocap",
        "iemocap-improvised-loso",
        "attention_cnn",
        "Attention pooling CNN, Table 1",
        (
            Variant("attention pooling", _wa_ua(71.75, 68.06)),
            Variant("global average pooling", _wa_ua(71.35, 67.54), ("model.options.head=gap",)),
            Variant("bilinear pooling", _wa_ua(69.17, 64.16), ("model.options.head=bilinear",)),
        ),
    ),
    Experiment(
        "alexnet_fcn",
        "iemocap",
        "iemocap-improvised-session",
        "alexnet_fcn",
        "Attention FCN, Tables I and II",
        (
            Variant("attention FCN", _wa_ua(70.4, 63.9)),
            Variant("AlexNet, fixed length", _wa_ua(66.5, 54.8), recipe="alexnet_fixed"),
            Variant("VGG-16, fixed length", _wa_ua(65.3, 54.8), recipe="vgg16_fixed"),
        ),
        note="The paper's 70.4 and 63.9 start from ImageNet; with --set model.weights=FILE so do "
        "these. From ImageNet its fixed-length rows are 67.9/57.3 and 66.8/56.7.",
    ),
    Experiment(
        "sparse_autoencoder",
        "casia",
        "casia-loso",
        "sparse_autoencoder",
        _AUTOENCODER,
        (Variant("labelled alone", {"wa": 83.3}),),
        note=_UNSTATED.format("leave one speaker out"),
    ),
    Experiment(
        "sparse_autoencoder",
        "emodb",
        "emodb-loso",
        "sparse_autoencoder",
        _AUTOENCODER,
        (
            Variant("labelled alone", {"wa": 89.7}),
            Variant("half unlabelled", {}, ("unlabelled.label_fraction=0.5",)),
        ),
        note=_UNSTATED.format("leave one speaker out"),
    ),
    Experiment(
        "sparse_autoencoder",
        "iemocap",
        "iemocap-session5",
        "sparse_autoencoder",
        _AUTOENCODER,
        (Variant("labelled alone", {"wa": 69.5}),),
        note=_UNSTATED.format("leave session 5 out"),
    ),
)

SYSTEMS = MappingProxyType(
    {e.system: tuple(x for x in EXPERIMENTS if x.system == e.system) for e in EXPERIMENTS}
)


def find_experiment(system: str, corpus: str | None = None) -> Experiment:
    """Returns a system's experiment on a corpus; its first one where no corpus is named.

    Raises:
        ConfigError: no such system, or the paper has nothing on the corpus; the nearest is named.

    Example:
        >>> find_experiment("predictive_vrnn").protocol
        'ravdess-speaker-dependent-5'
    """
    if system not in SYSTEMS:
        raise ConfigError(unknown_name("system", system, SYSTEMS))
    of_corpus = {experiment.corpus: experiment for experiment in SYSTEMS[system]}
    if corpus is None:
        return SYSTEMS[system][0]
    if corpus not in of_corpus:
        raise ConfigError(unknown_name(f"corpus of {system}'s paper", corpus, of_corpus))
    return of_corpus[corpus]


def comparison(experiment: Experiment, results: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the paper's table beside ours, as Markdown.

    Args:
        experiment: what was run.
        results: of each variant's name, as `training.crossval.summarize_run` returns them.
    """
    lines = [
        f"{experiment.system} on {experiment.corpus}, `{experiment.protocol}`; "
        f"published: {experiment.source}",
        "",
        "| variant | WA | UA | folds | published |",
        "|---|---|---|---|---|",
    ]
    for variant in experiment.variants:
        if variant.name in results:
            lines.append(_row(variant, results[variant.name]))
    return "\n".join([*lines, *(["", experiment.note] if experiment.note else [])])


def _row(variant: Variant, result: Mapping[str, Any]) -> str:
    pooled, protocol = result["pooled"], result["protocol"]
    published = [
        f"{name} {value} (ours {100 * pooled[name]:.1f})"
        for name, value in variant.published.items()
    ]
    cells = [
        variant.name,
        f"{100 * pooled['wa']:.1f}",
        f"{100 * pooled['ua']:.1f}",
        f"{protocol['folds_run']} of {protocol['folds']}",
        ", ".join(published) or "–",
    ]
    return f"| {' | '.join(cells)} |"
