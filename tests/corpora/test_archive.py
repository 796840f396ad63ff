import stat
import zipfile
from pathlib import Path

import pytest

from ser_keras.corpora.archive import ArchiveLimits, extract_zip
from ser_keras.errors import CorpusError

LIMITS = ArchiveLimits(max_members=20, max_bytes=100_000, max_ratio=30)


def member(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def pack(path: Path, *members: tuple[zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for info, content in members:
            archive.writestr(info, content)
    return path


def extract(archive: Path, **options) -> list[str]:
    folder = archive.parent / "out"
    extracted = extract_zip(archive, folder, **{"limits": LIMITS, **options})
    assert sorted(extracted) == sorted(path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in extracted)


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_members_are_written(tmp_path):
    folder = member("Actor_01/", stat.S_IFDIR | 0o755)
    archive = pack(tmp_path / "a.zip", (folder, b""), (member("Actor_01/1.wav"), b"speech"))
    assert extract(archive) == ["Actor_01/1.wav"]
    assert (tmp_path / "out" / "Actor_01" / "1.wav").read_bytes() == b"speech"


def test_maker_without_unix_modes_is_accepted(tmp_path):
    assert extract(pack(tmp_path / "a.zip", (member("1.wav", 0), b"speech"))) == ["1.wav"]


def test_members_can_be_renamed_and_left_out(tmp_path):
    archive = pack(tmp_path / "a.zip", (member("x/1.wav"), b"1"), (member("x/readme.txt"), b"2"))
    names = {"x/1.wav": "wav/1.wav"}
    assert extract(archive, rename=names.get) == ["wav/1.wav"]


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (member("../evil.wav"), "'../evil.wav' with '..'"),
        (member("a/../../evil.wav"), "'a/../../evil.wav' with '..'"),
        (member("/tmp/evil.wav"), "absolute or foreign name '/tmp/evil.wav'"),
        (member("..\\evil.wav"), "absolute or foreign name"),
        (member("C:evil.wav"), "absolute or foreign name 'C:evil.wav'"),
        (member("link", stat.S_IFLNK | 0o777), "a link called 'link'"),
        (member("pipe", stat.S_IFIFO | 0o644), "a device or pipe called 'pipe'"),
        (member("disk", stat.S_IFBLK | 0o644), "a device or pipe called 'disk'"),
    ],
    ids=lambda value: value.filename if isinstance(value, zipfile.ZipInfo) else "",
)
def test_hostile_member_is_refused_before_anything_is_written(tmp_path, info, message):
    archive = pack(tmp_path / "a.zip", (member("good.wav"), b"1"), (info, b"/etc/passwd"))
    with pytest.raises(CorpusError) as error:
        extract(archive)
    assert message in str(error.value)
    assert files_below(tmp_path) == ["a.zip"]


def test_hostile_member_is_refused_though_it_would_be_left_out(tmp_path):
    archive = pack(tmp_path / "a.zip", (member("../evil.wav"), b"1"))
    with pytest.raises(CorpusError, match=r"with '\.\.'"):
        extract(archive, rename={}.get)


def test_rename_cannot_lead_out(tmp_path):
    archive = pack(tmp_path / "a.zip", (member("1.wav"), b"1"))
    with pytest.raises(CorpusError, match="expected names below"):
        extract(archive, rename=lambda name: f"../{name}")


def test_one_name_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = pack(tmp_path / "a.zip", (member("1.wav"), b"1"), (member("1.wav"), b"2"))
    with pytest.raises(CorpusError, match=r"'1\.wav' twice"):
        extract(archive)


def test_too_many_members_are_refused(tmp_path):
    archive = pack(tmp_path / "a.zip", *((member(f"{i}.wav"), b"") for i in range(21)))
    with pytest.raises(CorpusError, match="found 21 members, expected at most 20"):
        extract(archive)


def test_bomb_is_stopped_by_its_expansion(tmp_path):
    archive = pack(tmp_path / "a.zip", (member("bomb.wav"), bytes(90_000)))
    with pytest.raises(CorpusError, match=r"more bytes than allowed, at 'bomb\.wav'"):
        extract(archive)
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) == 0


def test_bytes_are_capped_over_all_members(tmp_path):
    noise = [bytes((i * j * 7919) % 251 for j in range(30_000)) for i in range(1, 5)]
    archive = pack(
        tmp_path / "a.zip", *((member(f"{i}.wav"), data) for i, data in enumerate(noise))
    )
    with pytest.raises(CorpusError, match=r"at '3\.wav', expected at most 100000 bytes"):
        extract(archive, limits=ArchiveLimits(20, 100_000, 1e9))


def test_size_in_the_directory_is_not_believed(tmp_path):
    archive = pack(tmp_path / "a.zip", (member("1.wav"), bytes(50_000)))
    data = bytearray(archive.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    archive.write_bytes(data)
    with pytest.raises(CorpusError):
        extract(archive)


@pytest.mark.parametrize("damage", ["truncated", "text", "flipped", "encrypted"])
def test_damaged_archive_is_refused(tmp_path, damage):
    archive = pack(tmp_path / "a.zip", (member("1.wav"), b"speech" * 100))
    data = bytearray(archive.read_bytes())
    if damage == "truncated":
        data = data[:-30]
    elif damage == "text":
        data = bytearray(b"<html>not found</html>")
    elif damage == "flipped":
        data[40] ^= 0xFF
    else:
        data[data.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(CorpusError, match="the archive is damaged"):
        extract(archive)


def test_folder_that_cannot_be_written_is_told(tmp_path):
    archive = pack(tmp_path / "a.zip", (member("x" * 300), b"1"))
    with pytest.raises(CorpusError, match="could not unpack into"):
        extract(archive)
