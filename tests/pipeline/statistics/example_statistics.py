"""Statistics of invented utterances, as the job writes them."""

import json

import numpy as np

from pipeline.statistics.combiners import total
from pipeline.statistics.file import FORMAT, as_json
from pipeline.statistics.summary import summarize_utterance
from ser_keras.data.feature_set import IndexRow


def row(number, label="sad", speaker="anna", duration_s=1.0, gender="female"):
    key = f"made/{number:04}"
    return IndexRow(
        key, label, speaker, "", "", gender, "", "", "made", duration_s, 3, "part", "", key, b""
    )


def statistics(rows, shift=0.0, dim=2, **data):
    """Statistics of the rows; features are normal around `shift`."""
    rng = np.random.default_rng(0)
    sums = total(
        summarize_utterance(utterance, rng.normal(shift, 1.0, (3, dim)).astype(np.float32), {})
        for utterance in rows
    )
    facts = {"fingerprint": "f" * 64, "name": "made", "corpus": "made", "spec_name": "logmel40"}
    facts |= {"dim": dim, "dtype": "float32", "sample_rate_hz": 16000, **data}
    header = {"format": FORMAT, "data": facts, "listened": False, "dead": {}, "copies": []}
    return json.loads(as_json(header | sums.to_dict()))


def example_rows(number=40):
    """Two labels, four speakers, one to two seconds."""
    return [
        row(n, ("sad", "angry")[n % 2], f"s{n % 4}", 1 + n / number, ("female", "male")[n % 2])
        for n in range(number)
    ]
