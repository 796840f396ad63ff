"""The claims about MOMA's attention over a run, against every utterance read alone."""

import csv
import json

import keras
import numpy as np
import pytest

from ser_keras.config import config_from_dict
from ser_keras.errors import ConfigError
from ser_keras.experiments.attention.map_statistics import attention_statistics
from ser_keras.experiments.crossval import run_crossval
from ser_keras.experiments.evaluate import open_fold
from ser_keras.models.attention.map_statistics import describe_maps
from tests.small_features import write_features

pytestmark = pytest.mark.slow

OPTIONS = {"units": 4, "attention_units": 4, "front": "conv", "front_units": 4}


def trained(options, feature_set, protocol, folder, folds):
    config = config_from_dict(
        {
            "spec": feature_set.schema.spec_name,
            "epochs": 1,
            "select": "last",
            "model": {"name": "moma", "options": options},
        }
    )
    names = [fold.name for fold in protocol.folds[:folds]]
    run_crossval({"tiny": config}, feature_set, protocol, folder, folds=names)
    return folder


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """Output folder of the feature job."""
    return write_features(tmp_path_factory.mktemp("moma"), "logmel23", 2)


@pytest.fixture(scope="module")
def run(feature_set, protocol, tmp_path_factory):
    """Folder of a run of two folds whose models attend to half as many frames as they read."""
    folder = tmp_path_factory.mktemp("run")
    return trained(OPTIONS, feature_set, protocol, folder, folds=2)


def test_every_file_has_the_numbers_of_its_maps_alone(run, features):
    scored = []
    measured = attention_statistics(run, features, scored.append)
    files = {row["key"]: row for row in measured.files}
    assert scored == measured.result["folds"]
    for name in scored:
        fold = open_fold(run, features, name)
        for example in fold.part.utterances.as_numpy_iterator():
            values = example["features"][None]
            inputs = {"features": values, "mask": np.ones(values.shape[:2], bool)}
            outputs = {
                key: keras.ops.convert_to_numpy(value)[0]
                for key, value in fold.model(inputs).items()
            }
            assert outputs["attention"].shape == (-(-values.shape[1] // 2),)
            row = files.pop(example["key"].decode())
            alone = describe_maps(outputs)
            for map_name, numbers in alone["maps"].items():
                for quantity, value in numbers.items():
                    assert row[f"{quantity} {map_name}"] == pytest.approx(value, abs=1e-4)
            for pair, value in alone["correlations"].items():
                assert row[f"correlation {pair}"] == pytest.approx(value, abs=2e-2)
            assert measured.result["gamma"][name] == pytest.approx(outputs["gamma"], abs=1e-5)
    assert not files


def test_means_claims_and_verdicts_follow_from_the_files(run, features):
    measured = attention_statistics(run, features)
    result, files = measured.result, measured.files
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["utterances"], result["speakers"]) == (len(files), 2)
    for name, quantities in result["maps"].items():
        for quantity, summary in quantities.items():
            values = [row[f"{quantity} {name}"] for row in files]
            assert summary["mean"] == pytest.approx(sum(values) / len(values), abs=1e-5)
            assert summary["quartiles"] == pytest.approx(
                np.percentile(values, [25, 50, 75]), abs=1e-5
            )
            by_speaker = {}
            for row, value in zip(files, values, strict=True):
                by_speaker.setdefault(row["speaker"], []).append(value)
            means = sorted(sum(values) / len(values) for values in by_speaker.values())
            # Of two speakers a quarter of the resamples have the one alone, a quarter the other.
            assert summary["interval"] == pytest.approx([means[0], means[-1]], abs=1e-5)
    smoother, better, loose, sums = result["claims"]
    expected = {
        "total variation of layer 1 less that of the mixture": [
            row["total_variation layer 1"] - row["total_variation mixture"] for row in files
        ],
        "entropy of the mixture less that of layer 1": [
            row["entropy mixture"] - row["entropy layer 1"] for row in files
        ],
        "0.5 less the mean absolute correlation of two blocks": [
            0.5
            - sum(
                abs(row[f"correlation block {i}, block {j}"]) for i, j in ((1, 2), (1, 3), (2, 3))
            )
            / 3
            for row in files
        ],
        "mean total variation of the blocks less that of the mixture": [
            sum(row[f"total_variation block {number}"] for number in (1, 2, 3)) / 3
            - row["total_variation mixture"]
            for row in files
        ],
    }
    for claim, (quantity, values) in zip(
        (smoother, better, loose, sums), expected.items(), strict=True
    ):
        assert claim["quantity"] == quantity
        assert claim["mean"] == pytest.approx(sum(values) / len(values), abs=1e-5)
        low, high = claim["interval"]
        verdict = "holds" if low > 0 else "does not hold" if high < 0 else "open"
        assert claim["verdict"] == verdict


def test_the_command_writes_result_table_picture_and_every_recording(run, features, tmp_path, ser):
    code, out, _ = ser("attention-statistics", run, "--features", features, "--results", tmp_path)
    assert code == 0, out
    result = attention_statistics(run, features)
    assert json.loads((run / "attention.json").read_text()) == result.result
    kept = tmp_path / "attention" / result.result["dataset"] / "logmel23.json"
    assert json.loads(kept.read_text()) == result.result
    for picture in (run / "attention.svg", kept.with_suffix(".svg")):
        assert "layer 2 is smoother than layer 1: " in picture.read_text()
    with open(run / "attention.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == [row["key"] for row in result.files]
    assert float(rows[0]["entropy mixture"]) == result.files[0]["entropy mixture"]
    assert "That layer 2 is smoother than layer 1 (Sec. 5.1, Figs. 2-5) " in " ".join(out.split())
    assert "95 % interval over speakers" in out


def test_one_speaker_has_intervals_over_utterances(feature_set, protocol, features, tmp_path):
    one = trained(OPTIONS, feature_set, protocol, tmp_path, folds=1)
    result = attention_statistics(one, features).result
    assert (result["speakers"], result["intervals_over"]) == (1, "utterances")
    low, high = result["maps"]["mixture"]["entropy"]["interval"]
    assert low < result["maps"]["mixture"]["entropy"]["mean"] < high


def test_a_run_without_two_layers_of_attention_is_refused(
    feature_set, protocol, features, tmp_path
):
    options = {"units": 4, "attention_units": 4, "attention": "single"}
    single = trained(options, feature_set, protocol, tmp_path, folds=1)
    with pytest.raises(ConfigError, match="found a run of moma without attention in two layers"):
        attention_statistics(single, features)
