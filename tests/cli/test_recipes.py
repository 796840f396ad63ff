"""The verb `recipes`: what there is, and the text of one."""

import pytest
import yaml

from ser_keras.cli.options import DEFAULT_RECIPE
from ser_keras.config import config_from_dict, load_config, recipe_names, recipe_path


def test_every_recipe_is_listed_with_features_settings_and_purpose(ser):
    code, out, _ = ser("recipes")
    assert code == 0
    for name in recipe_names():
        default = " (default)" if name == DEFAULT_RECIPE else ""
        assert f"{name}{default}: {load_config(name).spec}, " in out
    assert out.count("(default)") == 1
    assert "alexnet_fcn, Zhang et al. 2018 alexnet_fcn (default)" in out
    assert "moma: logmel23, the paper's settings, blind MOMA with its paper's settings." in out
    assert "moma-speaker: mel64-prosody, other settings, blind and adapted MOMA for both" in out


def test_one_recipe_is_printed_as_a_file_that_trains_the_same(monkeypatch, capsys):
    from ser_keras.cli import app as cli

    monkeypatch.setattr("sys.argv", ["ser", "recipes", "moma-speaker"])
    with pytest.raises(SystemExit):
        cli.main()
    text = capsys.readouterr().out
    assert text == recipe_path("moma-speaker").read_text(encoding="utf-8")
    assert config_from_dict(yaml.safe_load(text)) == load_config("moma-speaker")


def test_an_unknown_recipe_suggests_the_nearest(ser):
    code, _, err = ser("recipes", "mooma")
    assert (code, "did you mean 'moma'" in err) == (2, True)


@pytest.mark.parametrize("name", recipe_names())
def test_what_a_recipe_is_for_is_a_whole_sentence(name):
    from ser_keras.config import recipe_purpose

    purpose = recipe_purpose(name)
    assert purpose[0].isupper()
    assert purpose.count("(") == purpose.count(")")
    assert f"{purpose}." in " ".join(
        line.lstrip("# ") for line in recipe_path(name).read_text(encoding="utf-8").splitlines()
    )


def test_a_model_that_takes_no_pretrained_weights_is_not_called_random(capsys):
    from ser_keras.cli.training import announce_weights

    announce_weights(load_config("moma"))
    assert capsys.readouterr().out == ""
    announce_weights(load_config("alexnet_fcn"))
    assert "random weights" in capsys.readouterr().out
