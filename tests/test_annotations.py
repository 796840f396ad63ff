"""Words and phones from files as Praat and NIST's tools write them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.annotations import Interval, Tier, cropped, read_tiers
from ser_keras.errors import ConfigError

WORDS = Tier("words", (Interval(0.0, 0.4, ""), Interval(0.4, 0.9, "yeah"), Interval(0.9, 1.5, "")))
PHONES = Tier(
    "phones",
    (
        Interval(0.0, 0.4, "sil"),
        Interval(0.4, 0.6, "Y"),
        Interval(0.6, 0.9, 'AE"1!'),
        Interval(0.9, 1.5, "ʃ"),
    ),
)


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


def long_format(*tiers, points=()):
    """A TextGrid as Praat's "Save as text file" writes it."""
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0 ",
        "xmax = 1.5 ",
    ]
    lines += ["tiers? <exists> ", f"size = {len(tiers) + len(points)} ", "item []: "]
    for number, tier in enumerate(tiers, 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier" ']
        lines += [
            f"        name = {quoted(tier.name)} ",
            "        xmin = 0 ",
            "        xmax = 1.5 ",
        ]
        lines += [f"        intervals: size = {len(tier.intervals)} "]
        for count, interval in enumerate(tier.intervals, 1):
            lines += [f"        intervals [{count}]:", f"            xmin = {interval.start_s} "]
            lines += [
                f"            xmax = {interval.end_s} ",
                f"            text = {quoted(interval.text)} ",
            ]
    for number, name in enumerate(points, len(tiers) + 1):
        lines += [f"    item [{number}]:", '        class = "TextTier" ']
        lines += [f"        name = {quoted(name)} ", "        xmin = 0 ", "        xmax = 1.5 "]
        lines += ["        points: size = 1 ", "        points [1]:", "            number = 0.7 "]
        lines += ['            mark = "H*" ']
    return "\n".join(lines) + "\n"


def short_format(*tiers):
    """A TextGrid as Praat's "Save as short text file" writes it."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", "1.5", "<exists>"]
    lines += [str(len(tiers))]
    for tier in tiers:
        lines += ['"IntervalTier"', quoted(tier.name), "0", "1.5", str(len(tier.intervals))]
        for interval in tier.intervals:
            lines += [str(interval.start_s), str(interval.end_s), quoted(interval.text)]
    return "\n".join(lines) + "\n"


def read(path, text, encoding="utf-8", recording="a"):
    path.write_bytes(text.encode(encoding))
    return read_tiers(path, recording)


def refusal(path, text):
    with pytest.raises(ConfigError) as refused:
        read(path, text)
    return str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("text", [long_format(WORDS, PHONES), short_format(WORDS, PHONES)])
def test_both_formats_are_read_in_every_encoding_of_praat(tmp_path, text, encoding):
    if encoding == "utf-16-be":
        text = "\ufeff" + text
    tiers, points = read(tmp_path / "a.TextGrid", text.replace("\n", "\r\n"), encoding)
    assert tiers == [WORDS, PHONES]
    assert points == []


@st.composite
def tiers(draw):
    edges = sorted(draw(st.sets(st.integers(0, 5000), min_size=2, max_size=8)))
    letters = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp")))
    intervals = [
        Interval(start / 1000, end / 1000, draw(letters)) for start, end in pairwise(edges)
    ]
    return Tier(draw(letters.filter(bool)), tuple(intervals))


@given(rows=st.lists(tiers(), max_size=3))
def test_whatever_is_written_is_read_again(rows, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.TextGrid"
    for written in (long_format(*rows), short_format(*rows)):
        assert read(path, written)[0] == rows


def test_comments_and_what_explains_a_value_do_not_count(tmp_path):
    text = (
        'File type = "ooTextFile short" ! 5 "old"\n"TextGrid"\n0 seconds\n1.5\n<exists>\n'
        '1 tier[9]\n"IntervalTier"\n"words"\n0 1.5 1\n0 1.5 "two\nlines"\n'
    )
    assert read(tmp_path / "a.textgrid", text)[0] == [
        Tier("words", (Interval(0, 1.5, "two lines"),))
    ]


def test_point_tiers_are_left_out_by_name(tmp_path):
    assert read(tmp_path / "a.TextGrid", long_format(WORDS, points=["tones"])) == (
        [WORDS],
        ["tones"],
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("xmax = 0.4 ", "xmax = end "), 'line 18: found "", expected the end of an interval'),
        (
            ('text = "yeah" ', "text = yeah "),
            "line 24: found 0.9, expected the label of an interval",
        ),
        (
            ("xmin = 0.4 ", "xmin = 0.2 "),
            "line 20: tier 'words': found a start at 0.2 s, expected 0.4",
        ),
        (
            ("xmax = 0.9 ", "xmax = 0.3 "),
            "line 20: tier 'words': found an interval from 0.4 to 0.3",
        ),
        (("size = 3 ", "size = 2.5 "), "line 14: found 2.5, expected the number of intervals"),
        (("IntervalTier", "Intervals"), "'Intervals', expected 'IntervalTier' or 'TextTier'"),
        (("TextGrid", "Sound 2"), "line 2: found 'Sound 2', expected the object class 'TextGrid'"),
        (("<exists>", "<absent>"), "line 6: found <absent>, expected <exists>"),
        (("ooTextFile", "Praat chronological TextGrid text file"), "line 1: found 'Praat chron"),
    ],
)
def test_a_wrong_line_is_named_with_what_was_expected(tmp_path, change, message):
    text = long_format(WORDS)
    assert change[0] in text
    assert message in refusal(tmp_path / "a.TextGrid", text.replace(*change, 1))


def test_a_cut_file_says_where_it_ends(tmp_path):
    text = long_format(WORDS)
    cut = text[: text.index("            xmax = 0.9")]
    assert "line 21: found the end of the file, expected the end of an interval" in refusal(
        tmp_path / "a.TextGrid", cut
    )
    open_quote = text[: text.index('yeah"')]
    assert "line 22: found a quotation mark that is never closed" in refusal(
        tmp_path / "a.TextGrid", open_quote
    )


def test_other_bytes_and_other_files_are_refused(tmp_path):
    path = tmp_path / "a.TextGrid"
    path.write_bytes(b'File type = "ooTextFile"\n\xe4')
    with pytest.raises(ConfigError, match=r"line 2: found bytes that are not utf-8"):
        read_tiers(path, "a")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_tiers(tmp_path / "none.ctm", "a")
    with pytest.raises(ConfigError, match=r"ends with \.lab, expected \.TextGrid"):
        read_tiers(tmp_path / "a.lab", "a")


# === CTM ===

CTM = """;; recording channel start duration token confidence
a 1 0.90 0.60 know 0.99
a 1 0.40 0.50 don't ;; said twice
b 1 0.00 0.30 no
"""


def test_a_ctm_gives_the_recording_s_tokens_in_order_of_time(tmp_path):
    (tier,), points = read(tmp_path / "words.ctm", CTM)
    assert tier == Tier("words", (Interval(0.4, 0.9, "don't"), Interval(0.9, 1.5, "know")))
    assert points == []


def test_channels_are_tiers_of_their_own(tmp_path):
    rows, _ = read(tmp_path / "words.ctm", "x A 0 1 yes\nx B 0.5 1 no\n")
    assert [(tier.name, tier.intervals[0].text) for tier in rows] == [
        ("words, channel A", "yes"),
        ("words, channel B", "no"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1 0.0 0.5\n", "line 1: found 'a 1 0.0 0.5', expected a recording, a channel, start"),
        ("a 1 0 1 yes\na 1 * * <ALT>\n", "line 2: found 'a 1 * * <ALT>'"),
        ("a 1 0 1 yes\n\na 1 0.5 1 no\n", "line 3: tier 'w': found a start at 0.5 s, expected 1 s"),
        ("a 1 1 -0.5 yes\n", "line 1: tier 'w': found an interval from 1 to 0.5 s"),
        (";; nothing\n", "found no line with a token"),
        ("aa 1 0 1 yes\nbb 1 0 1 no\n", "unknown recording 'a'; did you mean 'aa'?"),
    ],
)
def test_a_wrong_ctm_is_refused_by_line(tmp_path, text, message):
    assert message in refusal(tmp_path / "w.ctm", text)


# === Crops ===


def test_a_crop_cuts_what_reaches_out_and_leaves_the_rest():
    (words, phones) = cropped([WORDS, PHONES], 0.5, 0.9)
    assert words.intervals == (Interval(0.5, 0.9, "yeah"),)
    assert phones.intervals == (Interval(0.5, 0.6, "Y"), Interval(0.6, 0.9, 'AE"1!'))
    assert cropped([WORDS], 2.0, 3.0) == [Tier("words", ())]
    assert WORDS.labelled == (Interval(0.4, 0.9, "yeah"),)
