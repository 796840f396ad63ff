from pipeline.components import corpus_gen, statistics_gen
from pipeline.statistics.file import load_statistics
from tests.pipeline.components.tasks import run


def test_features_become_statistics_and_a_picture(build, tmp_path):
    result, outputs = run(statistics_gen.COMPONENT, {"features": build()}, tmp_path)
    assert sorted(path.name for path in outputs["statistics"].iterdir()) == [
        "statistics.json",
        "statistics.svg",
    ]
    assert result.facts["labels"] == {"angry": 12, "sad": 12}
    assert result.facts["silence_ratio"] is None
    assert not result.refusal


def test_with_the_corpus_silence_and_clipping_are_measured(build, corpus, tmp_path):
    _, listed = run(
        corpus_gen.COMPONENT, {}, tmp_path / "1", corpus="manifest", data_dir=str(corpus)
    )
    inputs = {"features": build(), "corpus": listed["corpus"]}
    result, outputs = run(statistics_gen.COMPONENT, inputs, tmp_path / "2")
    assert load_statistics(outputs["statistics"])["silence_ratio"]["count"] == 24
    assert result.facts["clipping_ratio"] == 0
