from pipeline.components import corpus_gen, statistics_gen
from pipeline.statistics.file import load_statistics
from tests.pipeline.components.tasks import run


def test_features_become_statistics_and_a_picture(build, tmp_path):
    said, made = run(statistics_gen.COMPONENT, {"features": build()}, tmp_path)
    assert sorted(path.name for path in made["statistics"].iterdir()) == [
        "statistics.json",
        "statistics.svg",
    ]
    assert said.facts["labels"] == {"angry": 12, "sad": 12}
    assert said.facts["silence_ratio"] is None
    assert not said.refusal


def test_with_the_corpus_it_listens(build, corpus, tmp_path):
    _, listed = run(
        corpus_gen.COMPONENT, {}, tmp_path / "1", corpus="manifest", data_dir=str(corpus)
    )
    inputs = {"features": build(), "corpus": listed["corpus"]}
    said, made = run(statistics_gen.COMPONENT, inputs, tmp_path / "2")
    assert load_statistics(made["statistics"])["silence_ratio"]["count"] == 24
    assert said.facts["clipping_ratio"] == 0
