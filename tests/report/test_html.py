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
        html_page.shaded_table(["s"], [("row", [("9", 0.9), ("-", None)])]),
        html_page.code("ser 'x'"),
        html_page.picture(tmp_path / "a.svg", 'a "picture"'),
    ]
    html_page.write_page(tmp_path / "page.html", "Title <1>", parts)
    words = parsed(tmp_path / "page.html").words
    for expected in ("Title <1>", "a < b & c", "<key>", "<2>", "numbers", "ser 'x'"):
        assert expected in words
    text = (tmp_path / "page.html").read_text()
    assert 'aria-label="a &quot;picture&quot;" xmlns' in text
    assert "<?xml" not in text


def test_darker_cells_are_larger_shares_with_letters_that_stand_out():
    white, middle, dark = (
        html_page.shaded_table([], [("n", [("1", share)])]) for share in (0.0, 0.5, 1.0)
    )
    assert "#ffffff;color:#000" in white
    assert "color:#000" in middle
    assert "#08306b;color:#fff" in dark


def test_a_markdown_table_is_a_table():
    table = html_page.markdown_table("| a | b |\n|---|---|\n| 1 | & |")
    assert "<th>a</th><th>b</th>" in table
    assert "<td>1</td><td>&amp;</td>" in table
