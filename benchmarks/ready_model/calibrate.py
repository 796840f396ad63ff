"""Gives the ready model its temperature, by models that never met the corpora they were tested on.

    python benchmarks/ready_model/calibrate.py NEW_CORPORA EVERYONE

NEW_CORPORA is the run over `by-corpus.csv`: its test parts are as new to its models as a user's
voice is to the ready model. EVERYONE is the run of the ready model, which gets a
`calibration.json`, as `ser calibrate` writes it. The temperature is that of the blind track.
"""

import argparse
from pathlib import Path

from worth import scored

from ser_keras import metrics
from ser_keras.experiments.calibration import FILE
from ser_keras.experiments.everyone import EVERYONE
from ser_keras.files import read_json, write_json


def calibrate(new_corpora: Path, everyone: Path) -> float:
    """Writes the temperature and returns it."""
    scores = scored(new_corpora, "blind")
    classes, probabilities = scores["classes"], scores["probabilities"]
    temperature = metrics.fit_temperature(classes, probabilities)
    after = metrics.with_temperature(probabilities, temperature)
    record = read_json(
        everyone / "folds" / EVERYONE / "fold.json", "the record of the training", "Train it again."
    )
    facts = {
        "temperature": temperature,
        "fitted_on": f"{len(classes)} recordings of corpora that the models which were asked had "
        "never met, as they are and degraded",
        "weights_sha256": record["weights_sha256"],
    }
    errors = {
        when: metrics.expected_calibration_error(classes, values)
        for when, values in (("before", probabilities), ("after", after))
    }
    write_json(everyone / FILE, {"folds": {EVERYONE: facts}, "calibration_errors": errors})
    return temperature


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("new_corpora", type=Path, help="the run over by-corpus.csv")
    parser.add_argument("everyone", type=Path, help="the run of the ready model")
    print(f"temperature {calibrate(**vars(parser.parse_args())):.3f}")
