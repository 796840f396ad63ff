from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from ser_keras import audit
from ser_keras.audio import content_hash, write_wav
from ser_keras.audit import AudioRow, checks
from ser_keras.audit.duplicates import values_of
from ser_keras.audit.fingerprint import NEAR_DB
from ser_keras.audit.near_copies import distances_db
from ser_keras.corpora import get_corpus
from ser_keras.corpora.base import Utterance
from ser_keras.errors import AudioError, ConfigError, LeakageError, SchemaError
from ser_keras.labels import CLASS_SETS
from ser_keras.protocols import Fold, Protocol, build_protocol

RATE = 16000


def voice(seed, seconds=1.8):
    """Syllables of harmonics and hiss with pauses, at random places, pitches and levels."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    sound = rng.normal(0, 1e-4, len(time))
    for start in np.sort(rng.uniform(0.1, seconds - 0.3, 7)):
        envelope = np.exp(-(((time - start) / rng.uniform(0.03, 0.1)) ** 2))
        pitch = rng.uniform(90, 300)
        tones = sum(
            rng.uniform(0.1, 1) / k * np.sin(2 * np.pi * pitch * k * time) for k in range(1, 12)
        )
        sound += envelope * (
            rng.uniform(0.1, 1) * tones + rng.uniform(0, 0.2) * rng.normal(size=len(time))
        )
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def distance(first, second):
    values = values_of([audit.fingerprint(first), audit.fingerprint(second)])
    return float(distances_db(values[:1], values[1:])[0])


def through_mu_law(x):
    coded = np.round(127 * np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256))
    return (np.sign(coded) * (256 ** (np.abs(coded) / 127) - 1) / 255).astype(np.float32)


def noisy(x):
    level = 0.01 * np.sqrt(np.mean(x**2))
    return x + np.random.default_rng(9).normal(0, level, len(x)).astype(np.float32)


COPIES = {
    "louder": lambda x: 2.5 * x,
    "quieter, 16 bits": lambda x: np.round(x * 3276.8) / 32768,
    "offset": lambda x: x + np.float32(0.01),
    "10 ms later": lambda x: np.concatenate([np.zeros(160, np.float32), x]),
    "5 ms earlier": lambda x: x[80:],
    "half a second of silence": lambda x: np.concatenate([x, np.zeros(8000, np.float32)]),
    "mu-law": through_mu_law,
    "noise at 40 dB": noisy,
}


@pytest.mark.parametrize("change", COPIES)
@pytest.mark.parametrize("seed", range(3))
def test_a_changed_copy_is_near(change, seed):
    waveform = voice(seed)
    assert distance(waveform, COPIES[change](waveform).astype(np.float32)) < NEAR_DB


def test_different_recordings_are_far():
    voices = [voice(seed) for seed in range(12)]
    assert min(distance(a, b) for a, b in combinations(voices, 2)) > 2 * NEAR_DB


@pytest.mark.parametrize("samples", [0, 1, 63, 64, 800, 600_000])
def test_every_length_has_a_fingerprint(samples):
    print_ = audit.fingerprint(np.random.default_rng(0).normal(size=samples).astype(np.float32))
    assert len(print_) == 128
    assert len(audit.fingerprint(np.zeros(samples, np.float32))) == 128


def test_short_recordings_are_told_apart():
    short = [voice(seed)[8000:12000] for seed in range(6)]
    assert min(distance(a, b) for a, b in combinations(short, 2)) > NEAR_DB


def audio_row(key, waveform, speaker="", sentence=""):
    prints = content_hash(waveform), audit.fingerprint(waveform)
    return AudioRow(key, "sad", speaker, sentence, *prints)


def test_groups_hold_exact_and_near_copies():
    a, b, c = (voice(seed) for seed in range(3))
    rows = [
        audio_row("a1", a),
        audio_row("b1", b),
        audio_row("a2", a),
        audio_row("c", c),
        audio_row("b2", b * 0.5),
        audio_row("a3", a * 0.5),
    ]
    assert audit.duplicate_groups(rows) == [("a1", "a2", "a3"), ("b1", "b2")]
    assert audit.duplicate_groups([]) == []


def test_all_recordings_of_a_doubled_copy_are_found_beyond_one_block(monkeypatch):
    from ser_keras.audit import duplicates, near_copies

    rows = [audio_row(f"k{seed:02}", voice(seed)) for seed in range(20)]
    copies = [replace(r, key=f"{r.key}#2", audio_sha256=f"other {r.key}") for r in rows]
    whole = audit.duplicate_groups(rows + copies)
    assert whole == [(r.key, f"{r.key}#2") for r in rows]
    for module, name in (
        (duplicates, "_BLOCK_ROWS"),
        (near_copies, "_BLOCK_ROWS"),
        (near_copies, "_BLOCK_PAIRS"),
    ):
        monkeypatch.setattr(module, name, 7)
    assert audit.duplicate_groups(rows + copies) == whole


def test_a_fingerprint_of_another_version_is_refused():
    rows = [replace(audio_row("a", voice(0)), fingerprint=b"123")]
    with pytest.raises(SchemaError, match="3 bytes, expected 128"):
        audit.duplicate_groups(rows)


def test_unknown_hashes_are_not_equal():
    rows = [replace(audio_row(str(s), voice(s)), audio_sha256="") for s in range(2)]
    assert audit.duplicate_groups(rows) == []


def test_audit_of_audio_says_how_equal_recordings_are():
    a, b = voice(0), voice(1)
    rows = [audio_row(*r) for r in (("a1", a), ("a2", a), ("b1", b), ("b2", b * 0.5))]
    findings = audit.audit_audio(rows)
    assert [(f.check, f.severity, f.keys) for f in findings] == [
        ("duplicates", "warn", ("a1", "a2")),
        ("duplicates", "warn", ("b1", "b2")),
    ]
    assert findings[0].message.startswith("the same recording under 2 names")
    assert findings[1].message.startswith("nearly the same")
    audit.enforce(findings)


def test_a_row_of_an_utterance_hears_its_file(tmp_path):
    waveform = voice(0)
    write_wav(tmp_path / "a.wav", waveform)
    utterance = Utterance("x/a", tmp_path / "a.wav", "sad", "ann", "x", sentence="s")
    row = audit.row_of(utterance)
    assert (row.key, row.label, row.speaker, row.sentence) == ("x/a", "sad", "ann", "s")
    assert row.audio_sha256 == content_hash(waveform)
    assert audit.duplicate_groups([row, audio_row("y", waveform)]) == [("x/a", "y")]


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_are_in_the_order_of_the_utterances_whoever_reads_them(tmp_path, workers):
    utterances = []
    for seed in range(3):
        write_wav(tmp_path / f"{seed}.wav", voice(seed))
        utterances.append(Utterance(f"x/{seed}", tmp_path / f"{seed}.wav", "sad", "ann", "x"))
    rows = list(audit.rows_of(utterances, workers))
    assert rows == [audit.row_of(utterance) for utterance in utterances]
    (tmp_path / "1.wav").write_bytes(b"no recording")
    with pytest.raises(AudioError, match=r"x/1|1\.wav"):
        list(audit.rows_of(utterances, workers))


def protocol(*folds, name="synthetic-loso"):
    folds = [Fold(f"f{i}", *(tuple(part) for part in parts)) for i, parts in enumerate(folds)]
    dependent = "speaker-dependent" in name
    classes = CLASS_SETS["synthetic4"]
    return Protocol(name, "synthetic", classes, 0, dependent, False, tuple(folds))


def bare(key, speaker=None, sentence="", audio=None):
    """A row whose audio is known by its hash alone; the fingerprint comes from the hash."""
    seed = int.from_bytes((audio or key).encode()[:6], "big")
    noise = np.random.default_rng(seed).integers(0, 255, 128).astype(np.uint8).tobytes()
    return AudioRow(key, "sad", speaker or key, sentence, audio or key, noise)


def results(findings):
    return {(f.check, f.severity) for f in findings}


def test_a_clean_protocol_has_no_findings():
    folds = ["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]
    assert audit.audit_protocol(protocol(*folds), [bare("a"), bare("b"), bare("c")]) == []


def test_one_search_serves_the_audit_of_recordings_and_folds(monkeypatch):
    searches = []

    def counted(rows):
        searches.append(len(rows))
        return duplicate_groups(rows)

    duplicate_groups = checks.duplicate_groups
    monkeypatch.setattr(checks, "duplicate_groups", counted)
    rows = [bare("a", audio="same"), bare("b", audio="same"), bare("c"), bare("d", audio="same")]
    apart = audit.audit_audio(rows) + audit.audit_protocol(protocol("abc"), rows)
    assert ("duplicates", "fail") in results(apart)
    assert searches == [4, 4]
    assert audit.audit_rows(protocol("abc"), rows) == apart
    assert searches == [4, 4, 4]


@pytest.mark.parametrize("parts", [(0, 1), (0, 2), (1, 2)])
def test_a_shared_speaker_fails_unless_the_name_says_so(parts):
    rows = [bare(key, "ann" if i in parts else key) for i, key in enumerate("abc")]
    findings = audit.audit_protocol(protocol("abc"), rows)
    assert ("speakers", "fail") in results(findings)
    with pytest.raises(LeakageError, match=r"speakers: 1 speakers .*: ann"):
        audit.enforce(findings)
    dependent = protocol("abc", name="synthetic-speaker-dependent-2")
    loud = [f for f in audit.audit_protocol(dependent, rows) if f.check == "speakers"]
    assert [f.severity for f in loud] == ["warn"]
    assert "SPEAKERS ARE SHARED" in loud[0].message


def test_a_protocol_that_shares_speakers_in_secret_breaks_its_promise():
    secret = replace(protocol("abc"), shares_speakers=True)
    assert ("promise", "fail") in results(audit.audit_protocol(secret, [bare(k) for k in "abc"]))


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("synthetic-loso", "info"),
        ("synthetic-speaker-dependent-2", "warn"),
        ("ravdess-sentence", "fail"),
    ],
)
def test_shared_sentences_matter_as_much_as_the_name_promises(name, severity):
    rows = [bare("a", sentence="1"), bare("b", sentence="2"), bare("c", sentence="1")]
    assert ("sentences", severity) in results(
        audit.audit_protocol(protocol("abc", name=name), rows)
    )
    rows = [bare("a", sentence=""), bare("b", sentence="2"), bare("c", sentence="")]
    assert "sentences" not in {
        f.check for f in audit.audit_protocol(protocol("abc", name=name), rows)
    }


@pytest.mark.parametrize("parts", [(0, 1), (0, 2), (1, 2)])
def test_a_copy_in_another_part_fails(parts):
    rows = [bare(key, audio="same" if i in parts else key) for i, key in enumerate("abc")]
    findings = audit.audit_protocol(protocol("abc"), rows)
    assert ("duplicates", "fail") in results(findings)
    finding = next(f for f in findings if f.check == "duplicates")
    assert finding.keys == tuple("abc"[i] for i in parts)


def test_a_copy_inside_one_part_warns():
    rows = [bare("a", audio="same"), bare("b"), bare("c"), bare("d", audio="same")]
    findings = audit.audit_protocol(protocol([["a", "d"], ["b"], ["c"]]), rows)
    assert ("duplicates", "warn") in results(findings)
    audit.enforce(findings)


def test_shared_speakers_tolerate_one_copy_but_not_a_doubled_corpus():
    keys = [f"{i:03}" for i in range(300)]
    parts = [keys[:90], keys[90:100], keys[100:]]
    dependent = protocol(parts, name="synthetic-speaker-dependent-2")
    rows = [bare(key, "ann") for key in keys]
    copy = {"100": "000"}
    one_copy = [replace(r, audio_sha256=copy.get(r.key, r.audio_sha256)) for r in rows]
    assert ("duplicates", "warn") in results(audit.audit_protocol(dependent, one_copy))
    copy = {f"{i + 100:03}": f"{i:03}" for i in range(90)}
    doubled = [replace(r, audio_sha256=copy.get(r.key, r.audio_sha256)) for r in rows]
    assert ("duplicates", "fail") in results(audit.audit_protocol(dependent, doubled))
    assert checks.TOLERATED_COPIES < 0.05


def test_coverage_is_checked():
    missing = audit.audit_protocol(protocol("abc"), [bare("a"), bare("b")])
    assert [(f.check, f.severity, f.keys) for f in missing] == [("coverage", "fail", ("c",))]
    rows = [bare(key) for key in "abcd"]
    assert ("coverage", "info") in results(audit.audit_protocol(protocol("abc"), rows))
    assert ("coverage", "warn") in results(audit.audit_protocol(protocol("abc", "bac"), rows))


RECORD = {
    "normaliser_fitted_on": ["a", "b"],
    "epoch_chosen_by": "validation",
    "train": ["a", "b"],
    "valid": ["c"],
    "test": ["d"],
}


@pytest.mark.parametrize("change", [{}, {"epoch_chosen_by": "fixed", "valid": []}])
def test_sound_training_has_no_findings(change):
    assert audit.audit_training(RECORD | change) == []


@pytest.mark.parametrize(
    ("change", "check", "message"),
    [
        ({"normaliser_fitted_on": ["a", "d"]}, "normaliser", r"\(test\): d"),
        ({"normaliser_fitted_on": ["a", "c"]}, "normaliser", r"\(valid\): c"),
        ({"normaliser_fitted_on": ["a", "z"]}, "normaliser", r"\(of no part\): z"),
        ({"epoch_chosen_by": "test"}, "epoch", "chosen by 'test'"),
        ({"valid": []}, "epoch", "a validation part that is empty"),
        ({"train": ["a", "b", "d"]}, "parts", "in both train and test: d"),
        ({"valid": ["d"]}, "parts", "in both valid and test: d"),
    ],
)
def test_test_data_in_training_fails(change, check, message):
    findings = audit.audit_training(RECORD | change)
    assert results(findings) == {(check, "fail")}
    with pytest.raises(LeakageError, match=message):
        audit.enforce(findings)


def test_an_incomplete_record_is_refused():
    with pytest.raises(ConfigError, match="found no epoch_chosen_by, test"):
        audit.audit_training({k: RECORD[k] for k in ("normaliser_fitted_on", "train", "valid")})


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize(
    ("corpus", "folder", "expected"),
    [
        (
            "ravdess",
            "ravdess",
            [("ravdess/03-01-03-01-02-01-07", "ravdess/03-01-03-01-02-02-07")],
        ),
        ("emodb", "emodb", []),
        ("emodb", "emodb-2s", []),
    ],
)
def test_real_corpora_hold_exactly_the_known_duplicates(real_data, corpus, folder, expected):
    utterances = get_corpus(corpus).read(real_data / folder, allow_partial=True)
    rows = [audit.row_of(utterance) for utterance in utterances]
    assert audit.duplicate_groups(rows) == expected
    doubled = rows + [replace(row, key=f"{row.key}#2") for row in rows]
    groups = audit.duplicate_groups(doubled)
    assert sum(map(len, groups)) == len(doubled)
    assert len(groups) == len(rows) - len(expected)
    if corpus == "ravdess":
        split = build_protocol("ravdess-speaker-dependent-5", utterances)
        assert ("speakers", "warn") in results(audit.audit_protocol(split, rows))
