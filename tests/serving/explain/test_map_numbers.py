"""Words, phones and numbers beside the maps of one recording."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from ser_keras.annotations import Interval, Tier
from ser_keras.audio import write_wav
from ser_keras.errors import ConfigError
from ser_keras.features.specs import get_spec
from ser_keras.models.attention.map_statistics import divergence_from_time, normalized_entropy
from ser_keras.plots.explanation import draw_explanation
from serving.cli.explain import explain as explain_verb
from serving.explain.map_numbers import tiers_of, to_dict, with_tiers
from tests.serving import exports
from tests.serving.client.described import described
from tests.serving.explain.test_explain import Direct, silence, speech

WORDS = Tier("words", (Interval(10.0, 10.8, "yeah"), Interval(10.8, 11.6, "I don't know")))
WORDS_AT_ZERO = Tier("words", (Interval(0.0, 0.6, "yeah"), Interval(0.6, 1.2, "I don't know")))
PHONES = Tier("phones", tuple(Interval(10 + n / 10, 10.1 + n / 10, "AE") for n in range(15)))


@pytest.fixture(scope="module")
def direct():
    return Direct("moma", {"units": 8, "attention_units": 4, "front": "conv"}, get_spec("logmel23"))


@pytest.fixture(scope="module")
def explained(direct):
    return direct(np.concatenate([silence(0.1), speech(1.2)]), start_s=10.0)


def test_numbers_are_of_the_model_s_own_columns(direct, explained):
    waveform = explained.waveform[None]
    maps = direct.run(
        "explain", {"waveform": waveform, "length": np.array([len(waveform[0])], np.int32)}
    )
    columns = explained.statistics["maps"]
    assert list(columns) == ["layer 1", "block 1", "block 2", "block 3", "mixture"]
    own = maps["attention_layer1"][0]
    assert len(own) == -(-len(explained.frame_edges_s[1:]) // 2)
    assert columns["layer 1"]["entropy"] == pytest.approx(float(normalized_entropy(own)), abs=1e-5)
    steps = np.abs(np.diff(own * len(own))).sum() / (len(own) - 1)
    assert columns["layer 1"]["total_variation"] == pytest.approx(steps, abs=1e-4)
    assert "layer 1, mixture" in explained.statistics["correlations"]


def test_tiers_are_cut_to_the_part_and_compared_with_the_weights(explained):
    marked = with_tiers(explained, [WORDS, PHONES])
    words, phones = marked.tiers
    assert words.intervals[-1] == Interval(10.8, explained.end_s, "I don't know")
    assert len(phones.intervals) == 13
    spans = np.array([[10.0, 10.8], [10.8, explained.end_s]])
    for name, key in (("layer 1", "attention_layer1"), ("mixture", "attention")):
        expected = divergence_from_time(explained.maps[key], explained.frame_edges_s, spans)
        divergence = marked.statistics["maps"][name]["divergence"]
        assert divergence["words"] == pytest.approx(expected, abs=1e-5)
        assert set(divergence) == {"words", "phones"}
    stored = to_dict(marked)
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored
    assert stored["tiers"]["words"][0] == {"start_s": 10.0, "end_s": 10.8, "text": "yeah"}


def test_tiers_of_another_time_are_refused(explained):
    with pytest.raises(ConfigError, match=r"tier 'words' reaches from 0 to 1 s, expected some"):
        with_tiers(explained, [Tier("words", (Interval(0.0, 1.0, "no"),))])


@pytest.mark.parametrize("name", ["moma", "alexnet_fcn"])
def test_labels_stand_in_the_picture_of_every_kind_of_model(name, tmp_path):
    spec, options, segments = exports.SYSTEMS[name]
    direct_model = Direct(name, options, get_spec(spec), segments)
    crowded = Tier("very short", tuple(Interval(i / 50, (i + 1) / 50, "mm") for i in range(10)))
    odd = Tier("odd $", (Interval(0.0, 1.0, "<b>$x"), Interval(1.0, 1.2, "")))
    marked = with_tiers(direct_model(speech(1.2)), [WORDS_AT_ZERO, odd, crowded])
    draw_explanation(marked, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    for words in ("words", "yeah", "I don't know", "odd $", "very short"):
        assert f"<!-- {words} -->" in text
    assert "<!-- &lt;b&gt;$x -->" in text
    assert text.count("<!-- mm -->") == 10
    assert "no room" not in text


def test_what_has_no_room_is_counted(explained, tmp_path):
    long = Tier(
        "words", tuple(Interval(10 + i / 50, 10 + (i + 1) / 50, 9 * "m") for i in range(10))
    )
    draw_explanation(with_tiers(explained, [long]), tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert "10 labels have no room" in text
    assert 9 * "m" not in text


# === The command ===


def run(*arguments):
    app = typer.Typer()
    app.command()(explain_verb)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def published(moma, tmp_path_factory):
    """(folder of a described export, recording of 4 s with speech from 1 to 3 s)."""
    root = tmp_path_factory.mktemp("marked")
    direct_model, folder = moma
    write_wav(root / "call.wav", np.concatenate([silence(1), speech(2), silence(1)]))
    return described(direct_model, folder, root), root / "call.wav"


def test_the_command_draws_prints_and_stores_tiers_of_both_formats(published, tmp_path):
    model, recording = published
    (tmp_path / "phones.ctm").write_text(
        "call 1 1.2 0.3 Y\ncall 1 1.5 0.4 AE\nother 1 0.0 0.4 no\ncall 1 2.6 0.2 N\n"
    )
    (tmp_path / "call.TextGrid").write_text(
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n4\n<exists>\n2\n'
        '"IntervalTier"\n"words"\n0\n4\n3\n0\n1.2\n""\n1.2\n2.2\n"yeah"\n2.2\n4\n""\n'
        '"TextTier"\n"tones"\n0\n4\n1\n1.3\n"H*"\n',
        encoding="utf-16",
    )
    out = tmp_path / "out"
    part = ("--start", 1, "--seconds", 1.5, "--output", out)
    tiers = ("--tiers", tmp_path / "call.TextGrid", "--tiers", tmp_path / "phones.ctm")
    done = run(recording, "--model", model, *part, *tiers)
    assert done.exit_code == 0, done.output
    assert "left out tier 'tones', which marks points" in done.output
    name = f"call-{model.name}"
    assert sorted(path.name for path in out.iterdir()) == [
        f"{name}{kind}" for kind in (".json", ".png", ".svg")
    ]
    stored = json.loads((out / f"{name}.json").read_text())
    assert stored["tiers"] == {
        "words": [{"start_s": 1.2, "end_s": 2.2, "text": "yeah"}],
        "phones": [
            {"start_s": 1.2, "end_s": 1.5, "text": "Y"},
            {"start_s": 1.5, "end_s": 1.9, "text": "AE"},
        ],
    }
    numbers = stored["statistics"]["maps"]["mixture"]
    assert set(numbers) == {"entropy", "total_variation", "divergence"}
    assert f"mixture: entropy {numbers['entropy']:.3f}, variation " in done.output
    text = (out / f"{name}.svg").read_text()
    for words in ("words", "phones", "yeah", "Y", "AE"):
        assert f"<!-- {words} -->" in text
    for left_out in ("H*", "no", "N"):
        assert f"<!-- {left_out} -->" not in text


def test_a_broken_tier_stops_before_the_model_is_loaded(published, tmp_path):
    model, recording = published
    (tmp_path / "a.ctm").write_text("call 1 zero 1 yes\n")
    done = run(
        recording, "--model", model, "--tiers", tmp_path / "a.ctm", "--output", tmp_path / "o"
    )
    assert isinstance(done.exception, ConfigError)
    assert "line 1: found 'call 1 zero 1 yes'" in str(done.exception)
    assert not (tmp_path / "o").exists()


def test_a_file_of_points_alone_is_refused(tmp_path):
    (tmp_path / "a.TextGrid").write_text(
        '"ooTextFile"\n"TextGrid"\n0 1 <exists> 1\n"TextTier" "tones" 0 1 1 0.5 "H*"\n'
    )
    with pytest.raises(ConfigError, match="found 1 point tiers and no interval tier"):
        tiers_of([tmp_path / "a.TextGrid"], "a")
