"""The model card of an export (Mitchell et al. 2019)."""

from collections.abc import Mapping
from typing import Any

from ser_keras.audit import audit_track
from ser_keras.corpora import corpus_facts
from ser_keras.models import MODELS
from ser_keras.report.percent import interval
from serving.ready.worth import worth_tables

INTENDED = """\
For research on emotion in speech, and for products whose users know that a machine guesses and can
correct it. Not for decisions about people: hiring, policing, insurance, health, school.
The European AI Act forbids inferring emotions at work and in education."""

LIMITS = """\
- It knows the classes above and always names one of them, also for music and for speech in an
  unknown language.
- Its data are acted or elicited speech of few voices, sentences and rooms. Expect more errors for
  spontaneous speech, other languages, ages and microphones, and noise; {errors}.
- {calibration}
- A voice does not always show what a person feels."""


def model_card(about: Mapping[str, Any]) -> str:
    """Returns the card as Markdown.

    Args:
        about: see `serving.export.export.describe`.
    """
    sections = {
        f"{about['name']}: emotion from speech": (
            f"System `{about['model']}`, {about['parameters']:,} parameters, "
            f"classes {', '.join(about['classes'])}.{_members(about)}"
        ),
        "Input and output": (
            f"Mono speech at {about['sample_rate_hz']} Hz, samples from -1 to 1. Probabilities of "
            "the classes, the likeliest one, and the model's attention. Signatures and their "
            "tensors: `saved_model_cli show --all --dir .`"
        ),
        "What it knows of a speaker": _tracks(about),
        "Data": _data(about),
        "Scores": _scores(about),
        "Intended use": INTENDED,
        "Limits": LIMITS.format(
            errors="see the scores" if "worth" in about else "how many was not measured",
            calibration=_calibration(about["calibration"]),
        ),
        "Checked at export": _checks(about["checked"]),
        "Made with": "\n".join(
            f"- {name} {number}"
            for name, number in {**about["versions"], "weights": about["weights_sha256"]}.items()
        ),
    }
    (title, first), *others = sections.items()
    parts = [f"# {title}\n\n{first}"] + [f"## {name}\n\n{text}" for name, text in others]
    return "\n\n".join(parts) + "\n"


def _members(about: Mapping[str, Any]) -> str:
    """Returns the members of an ensemble; nothing for a single model."""
    if "members" not in about:
        return ""
    lines = [
        f"- `{member['name']}`: {member['model']}, weight {member['weight']:.3f}, "
        f"tracks {' and '.join(member['tracks'])}, weights {member['weights_sha256']}"
        for member in about["members"]
    ]
    best = about["best_member"]
    return (
        " It answers with the mean of its members' probabilities; on the adapted track, of those "
        f"that have it. The attention that it returns is that of `{about['explained_member']}`.\n\n"
        + "\n".join(lines)
        + f"\n\nIts best single member on the same test parts, `{best['name']}`, has a UA of "
        f"{_percent(best['ua'])} on the {about['track']} track."
    )


def _tracks(about: Mapping[str, Any]) -> str:
    if "adapted" not in about.get("tracks", ["blind"]):
        return "Track: blind. It knows nothing of a speaker, and takes no enrolment."
    text = (
        "Tracks: blind and adapted. Without statistics of a speaker it answers as the blind track. "
        "Signatures `enrol` and `enrol_embedding` make statistics of a speaker's own recordings, "
        "which need no labels; with them, `adapted` answers as the adapted track. Such statistics "
        "describe a voice: keep them as you would keep its recordings, and delete them when asked. "
        "Enrol ordinary speech, for a single emotion alone would be taken for the speaker's usual "
        "voice."
    )
    if about["model"] in MODELS and MODELS[about["model"]].streams:
        text += (
            " It does not stream: it classifies mean and deviation over a whole utterance, which "
            "are not known before its end."
        )
    return text


def _data(about: Mapping[str, Any]) -> str:
    sizes = (
        f"{about['sizes']['train']} recordings for training, {about['sizes']['test']} for testing"
    )
    if worth := about.get("worth"):
        return f"{_sentence(worth['data'])} {_sentence(sizes)} Licence: {worth['licence']}."
    corpus = corpus_facts(about["corpus"])
    return (
        f"{corpus.title} ({about['dataset']}): {sizes}. Licence: {corpus.licence} "
        f"{corpus.citation} {corpus.home}"
    )


def _scores(about: Mapping[str, Any]) -> str:
    """Returns what is known of the scores: of the model's own test part, or of models like it."""
    if worth := about.get("worth"):
        return worth_tables(worth)
    if not about["sizes"]["test"]:
        return (
            "It was trained on all speakers, so that nobody was left to test it on. A run of the "
            "same recipe on a protocol that holds speakers out says what it is worth."
        )
    shared = "shared" if about["shares_speakers"] else "not shared"
    return (
        f"Protocol `{about['protocol']}`, fold `{about['fold']}`; speakers {shared} between "
        f"training and test.\n\n{_score_table(about)}\n\n{_known(about)}"
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _score_table(about: Mapping[str, Any]) -> str:
    lines = ["| scored | track | UA | 95 % over speakers | WA |", "|---|---|---|---|---|"]
    track = about.get("track", "blind")
    of_fold = about.get("track_scores") or {track: about["fold_scores"]}
    for name, scores in of_fold.items():
        ua, wa = _percent(scores["ua"]), _percent(scores["wa"])
        lines.append(f"| this model's test part | {name} | {ua} | | {wa} |")
    if pooled := about["pooled"]:
        ends = interval(pooled["ua_interval"], pooled.get("speakers"))
        lines.append(
            f"| all folds of its run | {track} | {_percent(pooled['ua'])} | {ends} "
            f"| {_percent(pooled['wa'])} |"
        )
    return "\n".join(lines)


def _known(about: Mapping[str, Any]) -> str:
    """Returns what was known of the test speakers on each track that was scored."""
    tested, not_adapted = about.get("test_speakers", []), about.get("not_adapted", [])
    least_s = about.get("config", {}).get("adaptation", {}).get("least_s", 0.0)
    tracks = about.get("track_scores") or [about.get("track", "blind")]
    messages = [audit_track(track, tested, not_adapted, least_s).message for track in tracks]
    return " ".join(message[:1].upper() + message[1:] for message in messages)


def _calibration(calibration: Mapping[str, Any]) -> str:
    if not calibration["fitted_on"]:
        return "Its probabilities are not calibrated."
    temperature, fitted_on = calibration["temperature"], calibration["fitted_on"]
    return (
        f"Its probabilities are calibrated with the temperature T = {temperature:.2f}, fitted on: "
        f"{fitted_on}. For other voices and rooms they may be too high or too low."
    )


def _checks(checked: Mapping[str, Mapping[str, float]]) -> str:
    lines = [
        f"- `{key}`: " + ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
        for key, differences in checked.items()
    ]
    return "Largest differences between what is served and what was trained:\n\n" + "\n".join(lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
