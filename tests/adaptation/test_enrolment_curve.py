"""UA by what is enrolled, against the run's own scores and draws spelled out."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from ser_keras.data.seeds import mixed_seed
from ser_keras.errors import ConfigError
from ser_keras.experiments.enrolment import enrolment_curve
from ser_keras.experiments.enrolment.draws import draw_known
from ser_keras.experiments.run_result import results_by_track
from ser_keras.report.results_folder import KINDS, enrolment_path
from ser_keras.report.tables import enrolments_table

ROWS = [
    SimpleNamespace(
        key=f"{speaker}{n}", corpus="c", speaker=speaker, duration_s=2.0, label="sad" * (n % 2)
    )
    for speaker in "ab"
    for n in range(10)
]


def test_recordings_are_drawn_of_every_speaker_until_they_last_long_enough():
    known = draw_known(ROWS, 5.0, seed=0)
    assert sorted(key[0] for key in known) == ["a"] * 3 + ["b"] * 3
    assert draw_known(ROWS[::-1], 5.0, seed=0) == known
    assert draw_known(ROWS, 5.0, seed=1) != known
    # A speaker's draw depends on no other speaker.
    assert draw_known(ROWS[:10], 5.0, seed=0) == tuple(key for key in known if key[0] == "a")


def test_half_of_the_recordings_are_left_to_be_scored():
    assert len(draw_known(ROWS, 60.0, seed=0)) == 10


def test_recordings_of_one_emotion_alone_are_drawn():
    known = draw_known(ROWS, 5.0, 0, lambda row: row.label == "sad")
    assert {int(key[1]) % 2 for key in known} == {1}
    assert draw_known(ROWS, 5.0, 0, lambda row: False) == ()


@pytest.fixture(scope="module")
def curve(run, prosody_set):
    output, _, fold = run
    return enrolment_curve(
        output, prosody_set.path, seconds=[2.0], draws=2, seed=3, folds=[fold.name]
    )


def test_with_everything_enrolled_the_scores_are_those_of_the_run(run, curve):
    adapted, blind = results_by_track(run[0])
    [row] = [row for row in curve["enrolments"] if row["seconds"] is None]
    assert row["ua"] == pytest.approx(adapted["pooled"]["ua"])
    assert row["blind_ua"] == pytest.approx(blind["pooled"]["ua"])
    assert row["utterances"] == adapted["pooled"]["utterances"]


def test_the_recordings_that_are_not_enrolled_are_scored(run, curve, prosody_set):
    output, _, fold = run
    rows = [row for row in prosody_set.rows if row.key in fold.test]
    blind = np.load(output / "folds" / fold.name / "scores-blind.npz")
    hits, totals = np.zeros(4), np.zeros(4)
    for draw in range(2):
        known = draw_known(rows, 2.0, mixed_seed(3, fold.name, draw))
        scored = zip(blind["keys"], blind["classes"], blind["probabilities"], strict=True)
        for key, true, shares in scored:
            if key not in known:
                totals[true] += 1
                hits[true] += shares.argmax() == true
    [row] = [row for row in curve["enrolments"] if row["seconds"] == 2.0 and not row["emotion"]]
    assert row["utterances"] == totals.sum() < 2 * len(rows)
    present = totals > 0
    assert row["blind_ua"] == pytest.approx(np.mean(hits[present] / totals[present]))
    assert row["difference"][0] == pytest.approx(row["ua"] - row["blind_ua"])
    assert row["enrolled_s"] >= 2.0


def test_there_is_an_entry_for_every_emotion_and_for_all_together(curve):
    emotions = [row["emotion"] for row in curve["enrolments"] if row["emotion"]]
    assert emotions == [*curve["class_set"]["classes"], "any one", "any one"]
    assert json.loads(json.dumps(curve)) == curve


def test_the_result_is_of_a_kind_with_a_path_and_a_table(curve, tmp_path):
    assert set(curve) >= KINDS["enrolment"].keys
    path = enrolment_path(tmp_path, curve | {"seed": 2}).relative_to(tmp_path)
    assert path.as_posix() == "enrolment/synthetic/synthetic-loso/attention_cnn-seed2.json"
    rows = enrolments_table([curve]).splitlines()[2:]
    amounts = [row.split(" | ")[3] for row in rows]
    assert amounts[:2] == ["2 s", "everything"]
    assert amounts[2].startswith("15 s, only ")
    assert amounts[-2:] == ["5 s of any one emotion", "15 s of any one emotion"]


def test_the_picture_is_the_same_for_the_same_result(curve, tmp_path):
    pytest.importorskip("matplotlib")
    from ser_keras.plots import enrolment_curve as draw

    for name in ("a.svg", "b.svg"):
        draw(curve, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_run_of_the_blind_track_has_nobody_to_enrol(run, prosody_set, tmp_path):
    output, _, fold = run
    shutil.copytree(output, tmp_path / "run")
    path = tmp_path / "run" / "folds" / fold.name / "fold.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["config"]["adaptation"]["blind_share"] = 1.0
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(ConfigError, match="blind track alone"):
        enrolment_curve(tmp_path / "run", prosody_set.path)
    with pytest.raises(ConfigError, match="0 draws"):
        enrolment_curve(output, prosody_set.path, draws=0)
