import pytest

from ser_keras.corpora.transfer import ResumingDownloader
from ser_keras.errors import CorpusError
from tests.corpora.servers import Behaviour, serving

CONTENT = bytes(range(256)) * 2000


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def part(tmp_path):
    return tmp_path / "archive.part"


def fetch(part, url, **options):
    """Downloads and returns what came; gives up after one attempt unless told otherwise."""
    settings = {"max_bytes": 2**20, "attempts": 1, "pause_s": 0.0, **options}
    output = part.with_name("archive.zip")
    ResumingDownloader(part, **settings)(url, output)
    return output.read_bytes()


def test_whole_file_comes(part):
    behaviour = Behaviour(CONTENT)
    with serving(behaviour) as url:
        assert fetch(part, url) == CONTENT
    assert behaviour.asked == [""]
    assert not part.exists()


def test_interrupted_transfer_goes_on_where_it_stopped(part):
    behaviour = Behaviour(CONTENT, cuts=[300_000])
    with serving(behaviour) as url:
        with pytest.raises(CorpusError, match=r"cut short 1 times, \d+ bytes are kept.*run the"):
            fetch(part, url)
        kept = part.stat().st_size
        assert 0 < kept <= 300_000
        assert fetch(part, url) == CONTENT
    assert behaviour.asked == ["", f"bytes={kept}-"]


def test_one_call_tries_again_by_itself_and_says_so(part, caplog):
    behaviour = Behaviour(CONTENT, cuts=[200_000, 150_000])
    with serving(behaviour) as url:
        assert fetch(part, url, attempts=3) == CONTENT
    assert len(behaviour.asked) == 3
    first, second = caplog.messages
    assert first.startswith(f"{url}: cut short, ")
    assert second.endswith(" bytes are kept. Asking again in 0 s.")


def test_server_without_ranges_starts_again(part):
    part.write_bytes(b"old")
    with serving(Behaviour(CONTENT, ranges=False)) as url:
        assert fetch(part, url) == CONTENT


def test_complete_part_is_taken_as_it_is(part):
    part.write_bytes(CONTENT)
    with serving(Behaviour(CONTENT)) as url:
        assert fetch(part, url) == CONTENT


def test_part_longer_than_the_file_is_thrown_away(part):
    part.write_bytes(CONTENT + b"more")
    with serving(Behaviour(CONTENT)) as url:
        assert fetch(part, url, attempts=2) == CONTENT


def test_answer_with_another_part_is_thrown_away(part):
    part.write_bytes(CONTENT[:1000])
    with serving(Behaviour(CONTENT, wrong_start=True)) as url:
        assert fetch(part, url, attempts=2) == CONTENT


@pytest.mark.parametrize("hide_length", [False, True])
def test_file_over_the_limit_is_refused(part, hide_length):
    with (
        serving(Behaviour(CONTENT, hide_length=hide_length)) as url,
        pytest.raises(CorpusError, match="bytes or more, expected at most 1000"),
    ):
        fetch(part, url, max_bytes=1000)
    assert not part.exists()


def test_refusal_of_the_server_is_told(part):
    behaviour = Behaviour(CONTENT, status=404)
    with serving(behaviour) as url, pytest.raises(CorpusError, match="answered 404 Not Found"):
        fetch(part, url, attempts=3)
    assert len(behaviour.asked) == 1


def test_dead_server_and_wrong_address_are_told(part):
    with serving(Behaviour(b"")) as url:
        pass
    with pytest.raises(CorpusError, match="cut short 2 times, 0 bytes are kept"):
        fetch(part, url, attempts=2)
    with pytest.raises(CorpusError, match="cannot be asked for"):
        fetch(part, "file:///etc/hostname")
