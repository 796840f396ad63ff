"""The adapted track of an ensemble's export, against each member enrolled by itself."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from ser_keras.adaptation.moments import merged
from serving.export.ensembles.signatures import EnsembleModule, ServedEnsemble
from serving.export.signatures import ServedModule
from tests.serving import adapted, exports

pytestmark = pytest.mark.slow
WEIGHTS = (0.6, 0.3, 0.1)
CLIPS = exports.clips(3, least=16000)


@pytest.fixture(scope="module")
def signatures():
    """Of two members with an adapted track and a blind one; and those of each adapted member."""
    members = [adapted.small(seed=0), exports.small("moma"), adapted.small(seed=1)]
    served = ServedEnsemble(members, WEIGHTS, tracks=("blind", "adapted"))
    alone = {number: ServedModule(members[number]).signatures() for number in (0, 2)}
    return EnsembleModule(served).signatures(), alone


def run(signatures, name, inputs):
    values = {key: tf.constant(value) for key, value in inputs.items()}
    return {key: value.numpy() for key, value in signatures[name](**values).items()}


def enrolled(signatures):
    """Returns the merged statistics of a speaker with all clips."""
    speaker = {}
    for name in ("enrol", "enrol_embedding"):
        answers = [run(signatures, name, exports.batch([clip]) | speaker) for clip in CLIPS]
        if "export_id" in answers[0]:
            speaker["export_id"] = answers[0]["export_id"]
        for key in answers[0].keys() - {"export_id"}:
            rows = [answer[key][0].astype(np.float64) for answer in answers]
            speaker[key] = merged(rows)[None].astype(np.float32)
    return speaker


def test_the_adapted_answer_is_the_mean_of_the_adapted_members(signatures):
    together, alone = signatures
    audio = exports.batch(CLIPS[:1])
    mean = np.zeros((1, len(exports.CLASSES)))
    for number, own in alone.items():
        answer = run(own, "adapted", audio | enrolled(own))
        mean += WEIGHTS[number] / 0.7 * answer["probabilities"]
    outputs = run(together, "adapted", audio | enrolled(together))
    np.testing.assert_allclose(outputs["probabilities"], mean, atol=1e-4)
    assert outputs["track"].tolist() == [b"adapted"]


def test_statistics_of_another_export_and_bad_ones_are_refused(signatures):
    together, alone = signatures
    audio, speaker = exports.batch(CLIPS[:1]), enrolled(together)
    other = speaker | {"export_id": enrolled(alone[0])["export_id"]}
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"of another model\. Enrol"):
        run(together, "adapted", audio | other)
    name = "member2_frame_statistics"
    with pytest.raises(tf.errors.InvalidArgumentError, match="NaN or infinite values"):
        run(together, "adapted", audio | speaker | {name: np.full_like(speaker[name], np.nan)})
    with pytest.raises(tf.errors.InvalidArgumentError, match="a count below 1"):
        run(together, "adapted", audio | speaker | {name: 0 * speaker[name]})


@pytest.fixture(scope="module")
def one_for_each_track():
    """(signatures of a blind member beside one for the adapted track alone; each by itself)."""
    blind, adapted_alone = exports.small("moma"), replace(adapted.small(seed=0), tracks=["adapted"])
    served = ServedEnsemble([adapted_alone, blind], [1, 1], tracks=("blind", "adapted"))
    assert served.leader is blind
    alone = [ServedModule(adapted.small(seed=0)).signatures(), ServedModule(blind).signatures()]
    return EnsembleModule(served).signatures(), *alone


def test_strangers_are_answered_by_the_members_that_can(one_for_each_track):
    together, by_speaker, blind = one_for_each_track
    audio = exports.batch(CLIPS[:1])
    answer = run(together, "serving_default", audio)["probabilities"]
    expected = run(blind, "serving_default", audio)["probabilities"]
    np.testing.assert_allclose(answer, expected, atol=1e-6)
    known = run(together, "adapted", audio | enrolled(together))
    expected = run(by_speaker, "adapted", audio | enrolled(by_speaker))
    np.testing.assert_allclose(known["probabilities"], expected["probabilities"], atol=1e-6)


def test_too_little_enrolled_speech_gets_the_answer_for_strangers(one_for_each_track):
    together, _, blind = one_for_each_track
    speaker = enrolled(together)
    speaker["member0_frame_statistics"][0, 0] = 1.0
    audio = exports.batch(CLIPS[:1])
    answer = run(together, "adapted", audio | speaker)
    assert answer["track"].tolist() == [b"blind"]
    expected = run(blind, "serving_default", audio)
    for name in ("probabilities", "label"):
        assert answer[name].tolist() == expected[name].tolist()
