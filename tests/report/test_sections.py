import pytest

from ser_keras.errors import SchemaError
from ser_keras.report.results_folder import read_results
from ser_keras.report.sections import markers, sections_of, write_sections
from tests.architecture import ROOT


@pytest.fixture(scope="module")
def sections():
    return sections_of(read_results(ROOT / "results"))


def shows(page, name, sections):
    begin, end = markers(name)
    return f"{begin}\n{sections[name]}\n{end}" in (ROOT / page).read_text()


def test_the_readme_shows_the_best_rows_and_no_other_table(sections):
    assert shows("README.md", "results", sections)
    assert len(sections["results"]) < 2500
    readme = (ROOT / "README.md").read_text()
    assert [name for name in sections if markers(name)[0] in readme] == ["results"]


def test_the_page_of_results_shows_every_section(sections):
    assert set(sections) >= {"results", "all results", "baselines", "searches", "crosscorpus"}
    assert set(sections) >= {"scale", "serving"}
    assert [name for name in sections if not shows("docs/results.md", name, sections)] == []


def test_a_file_is_rewritten_between_its_markers_only(sections, tmp_path):
    readme = tmp_path / "README.md"
    begin, end = markers("results")
    readme.write_text(f"before\n{begin}\nstale text\n{end}\nafter\n")
    assert write_sections(readme, sections)
    text = readme.read_text()
    assert text.startswith(f"before\n{begin}\n| data |")
    assert text.endswith(f"{end}\nafter\n")
    assert "stale text" not in text
    assert not write_sections(readme, sections)


def test_a_file_without_markers_is_refused(sections, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("nothing here")
    with pytest.raises(SchemaError, match="found no pair of markers"):
        write_sections(readme, sections)


def test_a_marker_without_its_end_is_refused(sections, tmp_path):
    readme = tmp_path / "README.md"
    begin, end = markers("scale")
    readme.write_text("\n".join([*markers("results"), begin]))
    with pytest.raises(SchemaError, match=rf"expected '{end}' after it"):
        write_sections(readme, sections)
    assert readme.read_text() == "\n".join([*markers("results"), begin])
