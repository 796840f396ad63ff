import re
from html.parser import HTMLParser

from ser_keras.report.pages import html as html_page

OPEN = ("meta", "p", "html")


class Balanced(HTMLParser):
    """Collects the words of a page and fails where a tag is closed that is not the open one."""

    def __init__(self):
        super().__init__()
        self.stack, self.words = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in OPEN:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if tag not in OPEN and self.stack.pop() != tag:
            raise AssertionError(tag)

    def handle_data(self, data):
        self.words.append(data)


def parsed(path):
    page = Balanced()
    page.feed(path.read_text())
    page.close()
    assert page.stack == []
    return page


def test_a_page_is_well_formed_and_says_what_it_was_given(tmp_path):
    (tmp_path / "a.svg").write_text("<?xml?><svg xmlns='x'><g/></svg>")
    parts = [
        html_page.paragraph("a < b & c"),
        html_page.paragraph(""),
        html_page.bullets([("<key>", "why")]),
        html_page.table(["x", "y"], [["1", "<2>"]], "numbers"),
        html_page.cards([("<run>", ["one & two", "three"])]),
        html_page.beside([html_page.paragraph("left"), "", html_page.paragraph("right")]),
        html_page.definitions("Words", {"UA": "mean <recall>"}),
        html_page.shaded_table(["s"], [("row", [("9", 0.9), ("-", None)])]),
        html_page.code("ser 'x'"),
        html_page.picture(tmp_path / "a.svg", 'a "picture"'),
    ]
    html_page.write_page(tmp_path / "page.html", "Title <1>", parts)
    words = parsed(tmp_path / "page.html").words
    expected = ("Title <1>", "a < b & c", "<key>", "<2>", "numbers", "ser 'x'")
    for text in (*expected, "<run>", "left", "mean <recall>"):
        assert text in words
    text = (tmp_path / "page.html").read_text()
    assert 'aria-label="a &quot;picture&quot;" xmlns' in text
    assert "<?xml" not in text


def test_larger_shares_have_more_shade_and_letters_that_stand_out():
    empty, middle, full = (
        html_page.shaded_table([], [("n", [("1", share)])]) for share in (0.0, 0.5, 1.0)
    )
    assert "<td style='--share:0.00'>1</td>" in empty
    assert "<td style='--share:0.50'>1</td>" in middle
    assert "<td class='deep' style='--share:1.00'>1</td>" in full
    assert "style" not in html_page.shaded_table([], [("n", [("-", None)])])


def test_a_wide_picture_stays_so_wide_that_its_letters_can_be_read(tmp_path):
    (tmp_path / "a.svg").write_text('<?xml?><svg width="500pt" height="9pt" xmlns="x"></svg>')
    assert 'style="min-width:300pt"' in html_page.picture(tmp_path / "a.svg", "a")


def test_both_colour_schemes_have_every_colour(tmp_path):
    html_page.write_page(tmp_path / "page.html", "Title", [])
    text = (tmp_path / "page.html").read_text()
    light, _, dark = text.partition("@media(prefers-color-scheme:dark)")
    colours = set(re.findall(r"(--[a-z-]+):", light))
    used = set(re.findall(r"var\((--[a-z-]+)\)", text)) - {"--share"}
    assert used <= colours == set(re.findall(r"(--[a-z-]+):", dark.partition("}")[0]))


def test_a_markdown_table_is_a_table():
    table = html_page.markdown_table("| a | b |\n|---|---|\n| 1 | & |")
    assert "<th>a</th><th>b</th>" in table
    assert "<td>1</td><td>&amp;</td>" in table
