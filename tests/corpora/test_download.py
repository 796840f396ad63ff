import hashlib
import stat
import zipfile
from io import BytesIO

import pytest

from ser_keras.corpora import corpus_names, get_corpus
from ser_keras.corpora.archive import ArchiveLimits
from ser_keras.corpora.download import download
from ser_keras.errors import ConfigError, CorpusError
from tests import trees
from tests.corpora.servers import Behaviour, serving

NAMES = ("03-01-01-01-01-01-01.wav", "03-01-05-01-01-01-01.wav")
RECORDINGS = {"03a01Fa.wav": b"happy" * 50, "03a01Wa.wav": b"angry" * 50}
HASHES = {name: hashlib.sha256(content).hexdigest() for name, content in RECORDINGS.items()}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def zipped(members: dict[str, bytes]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


@pytest.fixture
def speech(tmp_path):
    paths = [trees.write_noise(tmp_path / "made" / name, seconds=1.0) for name in NAMES]
    return zipped({f"Actor_01/{path.name}": path.read_bytes() for path in paths})


def get(name, target, url, **options):
    return download(name, target, url=url, progress=False, **options)


def left_beside(target):
    """Names of what lies beside the target, other than what the test made."""
    return sorted(path.name for path in target.parent.iterdir() if path.name != "made")


def test_archive_becomes_a_corpus(tmp_path, speech):
    target = tmp_path / "ravdess"
    with serving(Behaviour(speech)) as url:
        assert get("ravdess", target, url, known_hash=md5(speech)) == target
    assert len(get_corpus("ravdess").read(target, allow_partial=True)) == 2
    assert left_beside(target) == ["ravdess"]


def test_second_run_asks_nobody(tmp_path, speech):
    target = tmp_path / "ravdess"
    behaviour = Behaviour(speech)
    with serving(behaviour) as url:
        for _ in range(2):
            get("ravdess", target, url, known_hash=md5(speech))
    assert len(behaviour.asked) == 1


def test_empty_folder_may_be_there(tmp_path, speech):
    (tmp_path / "ravdess").mkdir()
    with serving(Behaviour(speech)) as url:
        get("ravdess", tmp_path / "ravdess", url, known_hash=md5(speech))
    assert (tmp_path / "ravdess" / "Actor_01").is_dir()


def test_wrong_hash_is_refused_and_a_rerun_starts_afresh(tmp_path, speech):
    target = tmp_path / "ravdess"
    with serving(Behaviour(speech[:-1] + b"x")) as url:
        with pytest.raises(CorpusError, match="found another archive than the published one"):
            get("ravdess", target, url, known_hash=md5(speech))
        assert not target.exists()
    with serving(Behaviour(speech)) as url:
        get("ravdess", target, url, known_hash=md5(speech))
    assert target.is_dir()


def test_published_hash_is_used_unless_another_is_given(tmp_path, speech):
    with serving(Behaviour(speech)) as url, pytest.raises(CorpusError, match="bc696df654c87fed"):
        get("ravdess", tmp_path / "ravdess", url)


def test_interrupted_download_is_resumed_by_the_next_run(tmp_path, speech):
    target = tmp_path / "ravdess"
    folder = tmp_path / ".ravdess.download"
    folder.mkdir()
    (folder / "archive.part").write_bytes(speech[:500])
    behaviour = Behaviour(speech)
    with serving(behaviour) as url:
        get("ravdess", target, url, known_hash=md5(speech))
    assert behaviour.asked == ["bytes=500-"]
    assert len(get_corpus("ravdess").read(target, allow_partial=True)) == 2


def test_cut_connection_is_resumed_within_one_run(tmp_path, speech):
    behaviour = Behaviour(speech, cuts=[40_000])
    with serving(behaviour) as url:
        get("ravdess", tmp_path / "ravdess", url, known_hash=md5(speech))
    assert len(behaviour.asked) == 2
    assert int(behaviour.asked[1].removeprefix("bytes=").removesuffix("-")) >= 20_000


def test_hostile_archive_leaves_nothing(tmp_path):
    link = zipfile.ZipInfo("Actor_01/evil.wav")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("Actor_01/good.wav", b"1")
        archive.writestr(link, "/etc/passwd")
    target = tmp_path / "ravdess"
    with serving(Behaviour(file.getvalue())) as url, pytest.raises(CorpusError, match="a link"):
        get("ravdess", target, url, known_hash=md5(file.getvalue()))
    assert left_beside(target) == [".ravdess.download"]


def test_bomb_leaves_nothing_unpacked(tmp_path):
    content = zipped({"a.wav": b"1", "bomb.wav": bytes(10**6)})
    target = tmp_path / "ravdess"
    limits = ArchiveLimits(max_ratio=100)
    with serving(Behaviour(content)) as url, pytest.raises(CorpusError, match="more bytes"):
        get("ravdess", target, url, known_hash=md5(content), limits=limits)
    assert left_beside(target) == [".ravdess.download"]


def test_known_recordings_are_kept_and_all_else_is_left_out(tmp_path):
    content = zipped(
        {f"wav/{name}": data for name, data in RECORDINGS.items()}
        | {"erkennung.txt": b"text", "__MACOSX/wav/03a01Fa.wav": b"x", "lablaut/03a01Fa.lab": b"x"}
    )
    target = tmp_path / "emodb"
    with serving(Behaviour(content)) as url:
        get("emodb", target, url, file_hashes=HASHES)
    assert sorted(path.name for path in target.rglob("*.*")) == [".completed", *RECORDINGS]
    assert len(get_corpus("emodb").read(target, allow_partial=True)) == 2


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"wav/03a01Fa.wav": RECORDINGS["03a01Fa.wav"]}, "1 of 2.*03a01Wa.wav: no such file"),
        ({f"wav/{name}": b"swapped" for name in RECORDINGS}, "2 of 2 recordings are not the"),
    ],
)
def test_swapped_recording_is_refused_and_loaded_again(tmp_path, members, message):
    target = tmp_path / "emodb"
    behaviour = Behaviour(zipped(members))
    with serving(behaviour) as url:
        with pytest.raises(CorpusError, match=message):
            get("emodb", target, url, file_hashes=HASHES)
        assert not target.exists()
        behaviour.content = zipped({f"wav/{name}": data for name, data in RECORDINGS.items()})
        get("emodb", target, url, file_hashes=HASHES)
    assert len(behaviour.asked) == 2


def test_shipped_hashes_are_used_unless_others_are_given(tmp_path):
    content = zipped({f"wav/{name}": data for name, data in RECORDINGS.items()})
    with serving(Behaviour(content)) as url, pytest.raises(CorpusError, match="535 of 535"):
        get("emodb", tmp_path / "emodb", url)


def test_other_files_are_not_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(CorpusError, match="found other files there"):
        get("ravdess", tmp_path, "http://127.0.0.1:9/")
    assert left_beside(tmp_path / "x") == ["thesis.txt"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("iemocap", "IEMOCAP has no download command, expected one of emodb, ravdess. Ask for it"),
        ("casia", "CASIA has no download command"),
        ("emobd", "did you mean 'emodb'"),
    ],
)
def test_corpus_without_download_says_how_to_get_it(tmp_path, name, message):
    with pytest.raises(ConfigError, match=message):
        download(name, tmp_path / name)


def test_sources_are_checked_one_way_or_the_other():
    definitions = [get_corpus(name).definition for name in corpus_names()]
    archives = [d.download for d in definitions if d and d.download.url]
    assert len(archives) >= 2
    for archive in archives:
        assert archive.known_hash or archive.file_hashes
    assert len(trees.emodb_names()) == 535


@pytest.mark.realdata
def test_shipped_hashes_are_those_of_the_originals(tmp_path, real_data):
    paths = sorted((real_data / "emodb" / "wav").glob("*.wav"))
    content = zipped({f"wav/{path.name}": path.read_bytes() for path in paths})
    with serving(Behaviour(content)) as url, pytest.raises(CorpusError, match="196 of 535"):
        get("emodb", tmp_path / "emodb", url)
