"""The page of leaks names tests; each of them is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_test_that_the_page_of_leaks_names_exists():
    text = (ROOT / "docs/leakage.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py|…)(?:::(\w+))?`", text)
    assert len(named) > 20
    file = None
    for where, name in named:
        # The dots stand for the file of the row above.
        file = file if where == "…" else ROOT / where
        assert file is not None, where
        assert file.is_file(), where
        assert not name or f"def {name}(" in file.read_text(encoding="utf-8"), name
