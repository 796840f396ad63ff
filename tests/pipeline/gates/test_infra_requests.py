import numpy as np
import pytest

from pipeline.gates.infra_requests import description_of, recorded_requests, warmup_requests
from ser_keras.errors import ExportError
from tests.pipeline import exported

pytestmark = pytest.mark.slow


def test_recordings_are_test_utterances_from_the_shortest_to_the_longest(export):
    version, run, features, _ = export
    requests = recorded_requests(version, run, features, count=3)
    frames = sorted(int(request.inputs["frames"][0]) for request in requests)
    with np.load(run / "folds" / exported.FOLD / "scores.npz") as stored:
        answers = dict(zip(stored["keys"], stored["probabilities"], strict=True))
    assert len(requests) == 3
    assert frames[0] < frames[1] < frames[2]
    for request in requests:
        np.testing.assert_array_equal(request.answer[0], answers[request.title.split()[-1]])
    assert len(recorded_requests(version, run, features, count=99)) == 16


def test_with_the_corpus_each_utterance_is_sent_as_audio_as_well(export):
    requests = recorded_requests(*export, count=3)
    assert [request.signature for request in requests] == ["features"] * 3 + ["serving_default"] * 3
    audio_of = {request.title.split()[-1]: request for request in requests[3:]}
    for request in requests[:3]:
        audio = audio_of[request.title.split()[-1]]
        np.testing.assert_array_equal(request.answer, audio.answer)
        assert audio.inputs["waveform"].shape == (1, audio.inputs["length"][0])


def test_warmup_requests_have_no_recorded_answers(export):
    requests = warmup_requests(export[0])
    assert len(requests) == 13
    assert all(request.answer is None for request in requests)
    assert {len(next(iter(request.inputs.values()))) for request in requests} == {1, 2, 8}


def test_a_folder_that_is_no_export_is_refused(tmp_path, export):
    assert warmup_requests(tmp_path) == []
    with pytest.raises(ExportError, match="found no description"):
        description_of(tmp_path)
    with pytest.raises(ExportError, match="Give the run that was exported"):
        recorded_requests(export[0], tmp_path, export[2])
