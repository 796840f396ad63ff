import json
from dataclasses import replace

import numpy as np
import pytest

from ser_keras.data.example import decode_example
from ser_keras.data.record_files import read_framed
from ser_keras.errors import ConfigError
from ser_keras.experiments.baseline import KERNELS, TRACKS, run_baselines
from ser_keras.experiments.baseline import run as run_module
from ser_keras.experiments.baseline.svm import c_values, choose_and_predict, inner_folds
from ser_keras.experiments.baseline.vectors import read_vectors, z_scored_by_speaker
from ser_keras.protocols import build_protocol
from ser_keras.report.results_folder import read_results


@pytest.fixture(scope="module")
def results(feature_set, protocol):
    return run_baselines(feature_set, protocol, command="ser baseline")


def clusters(utterances=120, values=300, classes=3, speakers=6, seed=0):
    """Returns vectors, classes and speakers: classes and speakers move the mean."""
    rng = np.random.default_rng(seed)
    of_class = np.arange(utterances) % classes
    of_speaker = np.arange(utterances) // classes % speakers
    vectors = rng.normal(size=(utterances, values))
    vectors += 0.25 * rng.normal(size=(classes, values))[of_class]
    vectors += 0.5 * rng.normal(size=(speakers, values))[of_speaker]
    return vectors, of_class, np.array([f"s{number}" for number in of_speaker])


def test_vectors_of_frames_are_their_mean_and_deviation(feature_set):
    keys = [row.key for row in feature_set.rows][3:5][::-1]
    stored = {}
    for path in feature_set.shard_paths:
        stored |= dict(map(decode_example, read_framed(path)))
    for key, vector in zip(keys, read_vectors(feature_set, keys), strict=True):
        frames = stored[key].astype(np.float64)
        mean = sum(frames) / len(frames)
        deviation = np.sqrt(sum((frames - mean) ** 2) / len(frames))
        np.testing.assert_allclose(vector, [*mean, *deviation], rtol=1e-9)


def test_a_row_for_the_whole_recording_is_its_vector(feature_set, monkeypatch):
    rows = tuple(replace(row, frames=1) for row in feature_set.rows)
    first = [next(map(decode_example, read_framed(p))) for p in feature_set.shard_paths[:1]]
    ((key, features),) = first
    (vector,) = read_vectors(replace(feature_set, rows=rows), [key])
    np.testing.assert_array_equal(vector, features[0].astype(np.float64))


def test_a_speaker_is_normalised_by_its_own_vectors_alone():
    vectors, _, speakers = clusters(values=5)
    vectors[:, 4] = 7.0
    result = z_scored_by_speaker(vectors, speakers)
    for speaker in np.unique(speakers):
        own = vectors[speakers == speaker, :4]
        expected = (own - own.mean(axis=0)) / own.std(axis=0)
        np.testing.assert_allclose(result[speakers == speaker, :4], expected)
    assert not result[:, 4].any()
    louder = np.where((speakers == "s0")[:, None], 3 * vectors + 1, vectors)
    np.testing.assert_allclose(z_scored_by_speaker(louder, speakers), result, atol=1e-12)


def test_no_speaker_is_on_both_sides_of_an_inner_fold():
    _, classes, speakers = clusters()
    folds = list(inner_folds(classes, speakers, seed=0))
    assert len(folds) == 5
    assert sorted(np.concatenate([judged for _, judged in folds])) == list(range(len(classes)))
    for fitted, judged in folds:
        assert not set(speakers[fitted]) & set(speakers[judged])


@pytest.mark.parametrize("speakers", [None, np.array(["alone"] * 30)])
def test_inner_folds_without_several_speakers_hold_every_class(speakers):
    classes = np.arange(30) % 3
    for fitted, judged in inner_folds(classes, speakers, seed=0):
        assert set(classes[fitted]) == set(classes[judged]) == {0, 1, 2}


@pytest.mark.parametrize("values", [20, 400])
def test_answers_are_those_of_machines_on_the_scaled_vectors(values):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, LinearSVC

    vectors, classes, speakers = clusters(values=values)
    test = np.isin(speakers, ["s0", "s1"])
    train = ~test
    chosen = choose_and_predict(
        KERNELS, vectors[train], classes[train], speakers[train], vectors[test],
        num_classes=3, seed=0,
    )  # fmt: skip
    linear, rbf = chosen["linear"], chosen["rbf"]
    for answer, machine in (
        (linear, LinearSVC(C=linear.c, class_weight="balanced", tol=1e-6, max_iter=100_000)),
        (rbf, SVC(C=rbf.c, class_weight="balanced")),
    ):
        oracle = make_pipeline(StandardScaler(), machine).fit(vectors[train], classes[train])
        np.testing.assert_array_equal(answer.predicted, oracle.predict(vectors[test]))


def test_c_is_the_best_of_the_inner_folds():
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    vectors, classes, speakers = clusters(seed=3)
    chosen = choose_and_predict(
        ["rbf"], vectors, classes, speakers, vectors[:2], num_classes=3, seed=0
    )["rbf"]
    for c in c_values("rbf", 300):
        predicted = np.empty_like(classes)
        for fitted, judged in inner_folds(classes, speakers, seed=0):
            machine = make_pipeline(StandardScaler(), SVC(C=c, class_weight="balanced"))
            machine.fit(vectors[fitted], classes[fitted])
            predicted[judged] = machine.predict(vectors[judged])
        assert chosen.inner_ua[c] == pytest.approx(balanced_accuracy_score(classes, predicted))
    best = max(chosen.inner_ua.values())
    assert chosen.c == min(c for c, ua in chosen.inner_ua.items() if ua == best)


def test_one_class_in_training_is_every_answer():
    vectors, classes, speakers = clusters(30)
    chosen = choose_and_predict(
        KERNELS, vectors, np.full_like(classes, 2), speakers, vectors[:4], num_classes=3, seed=0
    )
    assert {tuple(answer.predicted) for answer in chosen.values()} == {(2, 2, 2, 2)}


def test_each_kernel_and_track_has_a_result_with_all_that_a_comparison_needs(results, protocol):
    assert [(row["track"], row["kernel"]) for row in results] == [
        (track, kernel) for track in TRACKS for kernel in KERNELS
    ]
    for row in results:
        assert [fold["fold"] for fold in row["folds"]] == [fold.name for fold in protocol.folds]
        summed = sum(np.array(fold["confusion"]) for fold in row["folds"])
        assert summed.tolist() == row["pooled"]["confusion"]
        assert sum(map(np.array, row["by_speaker"].values())).tolist() == summed.tolist()
        for fold in row["folds"]:
            assert sum(map(np.array, fold["by_speaker"].values())).tolist() == fold["confusion"]
            best = max(fold["inner_ua"], key=lambda tried: (tried["ua"], -tried["c"]))
            assert fold["c"] == best["c"]
        low, high = row["pooled"]["ua_interval"]
        assert low <= row["pooled"]["ua"] <= high
        assert row["choice"]["kernel"] in KERNELS


def test_the_same_seed_gives_the_same_results(results, feature_set, protocol):
    again = run_baselines(feature_set, protocol, command="ser baseline")

    def without_cost(rows):
        return [{key: value for key, value in row.items() if key != "cost"} for row in rows]

    assert without_cost(again) == without_cost(results)


def test_labels_of_test_speakers_change_no_answer(results, feature_set, protocol):
    fold = protocol.folds[0]
    test = set(fold.test)
    other = {"angry": "sad", "sad": "angry", "happy": "neutral", "neutral": "happy"}
    rows = tuple(
        replace(row, label=other[row.label]) if row.key in test else row for row in feature_set.rows
    )
    alone = replace(protocol, folds=(fold,))
    planted = run_baselines(replace(feature_set, rows=rows), alone)
    for before, after in zip(run_baselines(feature_set, alone), planted, strict=True):
        answers = [np.sum(row["folds"][0]["confusion"], axis=0).tolist() for row in (before, after)]
        assert answers[0] == answers[1]
        assert before["folds"][0]["inner_ua"] == after["folds"][0]["inner_ua"]


def test_only_the_speakers_of_a_part_normalise_it(feature_set, protocol, monkeypatch):
    calls = []

    def recorded(vectors, speakers):
        calls.append((len(vectors), set(speakers)))
        return z_scored_by_speaker(vectors, speakers)

    monkeypatch.setattr(run_module, "z_scored_by_speaker", recorded)
    fold = protocol.folds[1]
    speaker_of = {row.key: row.speaker for row in feature_set.rows}
    run_baselines(feature_set, replace(protocol, folds=(fold,)), kernels=("rbf",))
    parts = ((*fold.train, *fold.valid), fold.test)
    assert calls == [(len(part), {speaker_of[key] for key in part}) for part in parts]


def test_speakers_may_be_shared_where_the_name_says_so(feature_set):
    shared = build_protocol("synthetic-speaker-dependent-3", feature_set.rows)
    (row,) = run_baselines(feature_set, shared, kernels=("linear",), tracks=("blind",))
    assert row["protocol"]["shares_speakers"]
    assert row["pooled"]["utterances"] == len(feature_set.rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernels": ("rfb",)}, "kernel 'rfb'.*'rbf'"),
        ({"tracks": ("blnd",)}, "'blnd'.*'blind'"),
        ({"folds": ("speaker-s1",)}, "fold of synthetic-loso 'speaker-s1'.*'speaker-s01'"),
    ],
)
def test_unknown_names_suggest_the_nearest(feature_set, protocol, options, message):
    with pytest.raises(ConfigError, match=message):
        run_baselines(feature_set, protocol, **options)


def test_the_verb_writes_a_file_for_each_kernel_and_track(ser, features, tmp_path):
    line = ["baseline", "--features", features, "--protocol", "synthetic-loso", "--results"]
    code, out, _ = ser(*line, tmp_path, "--track", "adapted")
    assert code == 0
    assert "track adapted: fold 4 of 4" in out
    assert "linear SVM on spectrogram200 of synthetic, synthetic-loso, adapted: UA " in out
    folder = tmp_path / "baselines" / "synthetic" / "synthetic-loso"
    names = {path.name for path in folder.iterdir()}
    assert names == {f"spectrogram200-{kernel}-adapted.json" for kernel in KERNELS}
    assert len(read_results(tmp_path)["baseline"]) == 2
    result = json.loads((folder / "spectrogram200-rbf-adapted.json").read_text())
    assert result["command"].startswith("ser baseline --features")


def test_chosen_folds_answer_as_they_do_among_all(ser, features, results, tmp_path):
    line = ["baseline", "--features", features, "--protocol", "synthetic-loso"]
    line += ["--fold", "speaker-s03", "--fold", "speaker-s01", "--kernel", "rbf"]
    code, out, _ = ser(*line, "--track", "blind", "--results", tmp_path)
    assert code == 0
    assert "track blind: fold 2 of 2" in out
    ((_, alone),) = read_results(tmp_path)["baseline"].items()
    assert alone["protocol"]["folds_run"] == 2
    assert alone["protocol"]["folds"] == 4
    whole = next(row for row in results if (row["kernel"], row["track"]) == ("rbf", "blind"))
    chosen = [fold for fold in whole["folds"] if fold["fold"] in ("speaker-s01", "speaker-s03")]
    assert alone["folds"] == chosen
    assert set(alone["by_speaker"]) == {"s01", "s03"}
    assert alone["pooled"]["utterances"] == sum(np.sum(fold["confusion"]) for fold in chosen)


def test_a_name_in_place_of_a_folder_says_how_to_make_the_features(ser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = ser("baseline", "--features", "compare", "--protocol", "nemo-loso")
    assert code == 2
    assert "ser features --corpus CORPUS --data-dir DIR --spec compare --output FOLDER" in err
