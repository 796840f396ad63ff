"""Results of cross-validations as `ser crossval` writes them, with predictions drawn at random."""

import json

import numpy as np

from ser_keras import metrics

CLASSES = ("angry", "happy", "sad")


def result_of(seed=0, *, skill=0.6, speakers=("a", "b", "c", "d"), **changes):
    """Returns a result. Its utterances are always the same; `skill` is the share of right ones."""
    rng = np.random.default_rng(seed)
    true = np.tile(np.arange(3), 8 * len(speakers))
    who = np.repeat(speakers, 24)
    right = rng.random(len(true)) < skill
    predicted = np.where(right, true, rng.integers(3, size=len(true)))
    shares = 0.15 * np.ones((len(true), 3)) + 0.55 * np.eye(3)[predicted]
    history = [{"loss": 1.1 - 0.1 * epoch, "valid_ua": 0.3 + 0.1 * epoch} for epoch in range(3)]
    folds = [
        {
            "fold": f"speaker-{name}",
            "recipe": "tiny",
            "test_speakers": [name],
            "sizes": {"train": 72, "valid": 24, "test": 24},
            "ua": 0.5,
            "wa": 0.5,
            "epoch": 3,
            "history": history,
        }
        for name in speakers
    ]
    return {
        "model": "moma",
        "settings": "ours",
        "dataset": "mine",
        "corpus": "manifest",
        "class_set": {"name": "mine", "classes": list(CLASSES), "merge": {}},
        "protocol": {
            "name": "manifest-loso",
            "sha256": "5" * 64,
            "seed": 0,
            "shares_speakers": False,
            "shares_sentences": True,
            "folds": len(folds),
            "folds_run": len(folds),
        },
        "epoch_chosen_by": "validation",
        "pooled": metrics.summarize(true, shares, list(who), CLASSES),
        "by_speaker": metrics.confusion_by_speaker(true, predicted, list(who), 3),
        "reliability": metrics.reliability(true, shares),
        "over_folds": {"ua": {"mean": 0.5, "std": 0.0}, "wa": {"mean": 0.5, "std": 0.0}},
        "cost": {
            "parameters": 12345,
            "multiply_accumulates": 678901,
            "at_frames": 99,
            "train_seconds": 12.5,
        },
        "weights": {"initialisation": "random"},
        "features": {"spec_name": "logmel40", "fingerprint": "f" * 64, "records": 96, "dead": 1},
        "audit": [
            {"check": "sentences", "severity": "info", "message": "<two> shared", "keys": []}
        ],
        "recipes": {"tiny": {"epochs": 3}},
        "chosen": False,
        "command": "ser crossval --recipe 'a & b'",
        "versions": {"keras": "3.15.1"},
        "commit": "c" * 40,
        "folds": folds,
    } | changes


def baseline_result(by_speaker, kernel="rbf", features="compare", track="blind", inner_ua=0.5):
    """Returns a result of `ser baseline` on the data of `result_of`, one fold for each speaker."""
    classes = tuple(str(number) for number in range(len(next(iter(by_speaker.values())))))
    cells = [
        (true, predicted, speaker)
        for speaker, counts in by_speaker.items()
        for true, row in enumerate(counts)
        for predicted, count in enumerate(row)
        for _ in range(count)
    ]
    true, predicted, speakers = zip(*cells, strict=True)
    return {
        "model": "svm",
        "kernel": kernel,
        "track": track,
        "dataset": "mine",
        "class_set": {"name": "mine", "classes": list(classes), "merge": {}},
        "protocol": {"name": "manifest-loso", "sha256": "5" * 64, "shares_speakers": False},
        "features": {"spec_name": features},
        "choice": {"inner_ua": {kernel: inner_ua}, "kernel": kernel},
        "pooled": metrics.summarize(true, np.eye(len(classes))[[*predicted]], speakers, classes),
        "by_speaker": by_speaker,
        "folds": [
            {
                "fold": f"speaker-{name}",
                "confusion": counts,
                "by_speaker": {name: counts},
                "c": 1.0,
            }
            for name, counts in by_speaker.items()
        ],
    }


def write_run(folder, name, result):
    """Writes a result as the folder of a run has it; returns the folder."""
    (folder / name).mkdir()
    (folder / name / "result.json").write_text(json.dumps(result))
    return folder / name
