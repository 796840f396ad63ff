"""A zoo of damaged, odd and hostile recordings, each with what reading it must lead to.

Byte for byte from the definition of the containers, so that headers can lie in ways no library
would write.
"""

import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

PCM, FLOAT = 1, 3


def voice(seconds: float = 0.5, rate: int = 16000, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Returns float64 (samples, channels): a 200 Hz tone with noise, within -0.5..0.5."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * 200 * time_s)
    return tone[:, None] + rng.uniform(-0.1, 0.1, (len(time_s), channels))


def wav(
    samples: np.ndarray | None = None,
    *,
    rate: int = 16000,
    bits: int = 16,
    code: int = PCM,
    channels: int | None = None,
    promised: int | None = None,
    before_fmt: bytes = b"",
    after_fmt: bytes = b"",
) -> bytes:
    """Returns a WAV file's bytes.

    Args:
        samples: float (samples, channels); `voice()` by default.
        rate: sampling rate written in the header.
        bits: 16, 24, 32 (PCM) or 32 (float).
        code: format code.
        channels: channels written in the header, those of the samples by default.
        promised: bytes of samples written in the header, those there are by default.
        before_fmt: chunks in front of the format.
        after_fmt: chunks between the format and the samples.
    """
    samples = voice() if samples is None else samples
    channels = samples.shape[1] if channels is None else channels
    body = _body(samples, bits, code)
    width = bits // 8
    align = channels * width % 2**16
    fmt = struct.pack("<HHIIHH", code, channels, rate, rate * align, align, bits)
    chunks = before_fmt + chunk(b"fmt ", fmt) + after_fmt
    chunks += b"data" + struct.pack("<I", len(body) if promised is None else promised) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def _body(samples: np.ndarray, bits: int, code: int) -> bytes:
    if code == FLOAT:
        return samples.astype("<f4").tobytes()
    if bits == 24:
        whole = np.round(samples * 2**23).astype("<i4")
        return whole.reshape(-1, 1).view(np.uint8)[:, :3].tobytes()
    if bits == 32:
        return np.round(samples * 2**31).astype("<i4").tobytes()
    return np.round(samples * 2**15).astype("<i2").tobytes()


def chunk(tag: bytes, content: bytes) -> bytes:
    """Returns a RIFF chunk, padded to an even length."""
    return tag + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def encoded(
    kind: str, samples: np.ndarray | None = None, rate: int = 16000, coding: str | None = None
) -> bytes:
    """Returns a file that libsndfile writes.

    Args:
        kind: container: "WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "RF64", "W64".
        samples: float (samples, channels); `voice()` by default.
        rate: sampling rate.
        coding: of the samples, such as "ALAW" or "IMA_ADPCM"; the container's usual by default.
    """
    stream = io.BytesIO()
    soundfile.write(stream, voice() if samples is None else samples, rate, coding, format=kind)
    return stream.getvalue()


def flac_that_promises(num_samples: int) -> bytes:
    """Returns a FLAC file whose stream header states another length (0: unknown)."""
    data = bytearray(encoded("FLAC"))
    fields = int.from_bytes(data[18:26], "big")
    data[18:26] = (fields >> 36 << 36 | num_samples).to_bytes(8, "big")
    return bytes(data)


def flac_from_a_pipe(samples: np.ndarray | None = None) -> bytes:
    """Returns a FLAC file that states neither its length nor the hash of its samples."""
    data = bytearray(encoded("FLAC", samples))
    data[21] &= 0xF0
    data[22:42] = bytes(20)
    return bytes(data)


def wav_of_no_length(data: bytes, riff: int, promised: int) -> bytes:
    """Returns a WAV file with other sizes in its header."""
    at = data.index(b"data") + 4
    sizes = struct.pack("<I", riff), struct.pack("<I", promised)
    return data[:4] + sizes[0] + data[8:at] + sizes[1] + data[at + 4 :]


def w64_of_no_length(data: bytes) -> bytes:
    """Returns a W64 file as ffmpeg writes it into a pipe."""
    at = data.index(b"data\xf3\xac\xd3\x11") + 16
    return data[:at] + struct.pack("<Q", 2**63 - 1) + data[at + 8 :]


def six_hours(path: Path) -> None:
    """Writes a valid six-hour WAV that takes no space: its samples are a hole in the file."""
    size = 6 * 3600 * 8000 * 2
    with open(path, "wb") as stream:
        stream.write(wav(voice(0), rate=8000, promised=size))
        stream.truncate(stream.tell() + size)


def good_files() -> dict[str, bytes]:
    """Returns the recordings that must be accepted, by file name."""
    return {
        "plain.wav": wav(),
        "bits24.wav": wav(bits=24),
        "float32.wav": wav(bits=32, code=FLOAT),
        "loud-float32.wav": wav(voice() * 8, bits=32, code=FLOAT),
        "bits32.wav": wav(bits=32),
        "a-law.wav": encoded("WAV", coding="ALAW"),
        "clipped.wav": wav(np.clip(voice() * 8, -1, 1 - 2**-15)),
        "copy-of-plain.wav": wav(),
        "riff-size0.wav": wav()[:4] + bytes(4) + wav()[8:],
        "riff-size-huge.wav": wav()[:4] + b"\xff" * 4 + wav()[8:],
        "stereo.wav": wav(voice(channels=2)),
        "eight-channels.wav": wav(voice(channels=8)),
        "rate8000.wav": wav(voice(rate=8000), rate=8000),
        "rate48000.wav": wav(voice(rate=48000), rate=48000),
        "fllr-before-fmt.wav": wav(before_fmt=chunk(b"FLLR", bytes(4044))),
        "fllr-after-fmt.wav": wav(after_fmt=chunk(b"FLLR", bytes(4044))),
        "odd-chunk.wav": wav(after_fmt=chunk(b"note", b"odd")),
        "list-at-end.wav": wav() + chunk(b"LIST", b"INFOabcd"),
        "pipe-ffmpeg.wav": wav_of_no_length(wav(), 2**32 - 1, 2**32 - 1),
        "pipe-sox.wav": wav_of_no_length(wav(), 0x7FFFF024, 0x7FFFF000),
        "never-closed.wav": wav_of_no_length(wav(), 36, 0),
        "no-length.wav": wav(promised=2**32 - 1),
        "no-length.w64": w64_of_no_length(encoded("W64")),
        "no-length.flac": flac_from_a_pipe(),
        "mu-law.wav": encoded("WAV", coding="ULAW"),
        "ogg-named.wav": encoded("OGG"),
        "ogg-named.flac": encoded("OGG"),
        "opus.ogg": encoded("OGG", coding="OPUS"),
        "mp3-named.wav": encoded("MP3"),
        "aiff-named.wav": encoded("AIFF"),
        "plain.au": encoded("AU"),
        "plain.caf": encoded("CAF"),
        "plain.rf64": encoded("RF64"),
        "plain.w64": encoded("W64"),
        "plain.flac": encoded("FLAC"),
        "flac-named.wav": encoded("FLAC"),
        "größe-愤怒-😠.wav": wav(),
    }


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Returns the recordings that must be refused, by file name, with the kind of the error."""
    plain, flac = wav(), encoded("FLAC")
    holes = voice()
    holes[100] = np.nan
    infinite = voice()
    infinite[100] = -np.inf
    return {
        "empty.wav": (b"", "empty"),
        "text.wav": (b"dear diary, today I was angry\n" * 40, "not_audio"),
        "page.wav": (b"<!DOCTYPE html><html>404</html>", "not_audio"),
        "head-cut.wav": (plain[100:], "not_audio"),
        "head-only.wav": (plain[:40], "truncated"),
        "four-bytes.wav": (plain[:4], "not_audio"),
        "body-cut.wav": (plain[: len(plain) // 2], "truncated"),
        "last-byte-cut.wav": (plain[:-1], "truncated"),
        "promises-more.wav": (wav(promised=10**6), "truncated"),
        "cut.flac": (flac[: len(flac) // 2], "truncated"),
        "end-cut.flac": (flac[:-10], "truncated"),
        "magic-only.flac": (flac[:8], "unreadable"),
        "header-garbage.flac": (flac[:8] + b"\xff" * 34 + flac[42:], "unreadable"),
        "body-garbage.flac": (flac[:100] + b"\x55" * (len(flac) - 100), "truncated"),
        "promises-more.flac": (flac_that_promises(16000), "truncated"),
        "promises-six-hours.flac": (flac_that_promises(6 * 3600 * 16000), "too_long"),
        "zero.wav": (wav(voice() * 0), "silent"),
        "zero.flac": (encoded("FLAC", voice() * 0), "silent"),
        "nan.wav": (wav(holes, bits=32, code=FLOAT), "not_finite"),
        "infinite.wav": (wav(infinite, bits=32, code=FLOAT), "not_finite"),
        "huge.wav": (wav(voice() * 1e30, bits=32, code=FLOAT), "range"),
        "not-divided.wav": (wav(voice() * 2**15, bits=32, code=FLOAT), "range"),
        "opposed.wav": (wav(np.hstack([voice(), -voice()])), "opposed"),
        "no-samples.wav": (wav(voice(0)), "too_short"),
        "one-sample.wav": (wav(voice()[:1]), "too_short"),
        "nine-channels.wav": (wav(voice(channels=9)), "channels"),
        "no-channel.wav": (wav(channels=0), "channels"),
        "many-channels.wav": (wav(channels=30000), "channels"),
        "channels65535.wav": (wav(channels=65535), "channels"),
        "rate0.wav": (wav(rate=0), "rate"),
        "rate1e6.wav": (wav(rate=1000000), "rate"),
        "rate1000.wav": (wav(rate=1000), "rate"),
        "unknown-code.wav": (wav(code=0x7777), "unreadable"),
        # Says that its numbers are big-endian, which they are not.
        "big-endian.wav": (b"RIFX" + plain[4:], "rate"),
        "ogg-garbage.ogg": (b"OggS" + b"\x55" * 4000, "unreadable"),
        "cut.aiff": (encoded("AIFF")[:9000], "truncated"),
        "mp3-garbage.wav": (b"\xff\xfb\x90\x00" + b"\x55" * 4000, "not_audio"),
    }


def make_zoo(folder: Path, seed: int = 0) -> list[tuple[Path, str]]:
    """Writes the zoo into `folder`.

    Args:
        folder: made if need be.
        seed: order in which the animals are returned.

    Returns:
        (path, expected): `"ok"`, or the `kind` of the `AudioError` that reading it must raise.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    animals = [(name, data, "ok") for name, data in good_files().items()]
    animals += [(name, data, kind) for name, (data, kind) in bad_files().items()]
    zoo = []
    for name, data, expected in animals:
        (folder / name).write_bytes(data)
        zoo.append((folder / name, expected))
    (folder / "dangling.wav").symlink_to(folder / "nowhere.wav")
    (folder / "link.wav").symlink_to(folder / "plain.wav")
    (folder / "folder.wav").mkdir()
    os.mkfifo(folder / "pipe.wav")
    six_hours(folder / "six-hours.wav")
    zoo += [
        (folder / "dangling.wav", "missing"),
        (folder / "link.wav", "ok"),
        (folder / "folder.wav", "unreadable"),
        (folder / "pipe.wav", "unreadable"),
        (folder / "six-hours.wav", "too_long"),
    ]
    order = np.random.default_rng(seed).permutation(len(zoo))
    return [zoo[index] for index in order]


def mutations(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Yields damaged copies: bytes overwritten (mostly in the header), pieces cut or doubled."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        copy = bytearray(data)
        reach = min(len(copy), 64) if rng.random() < 0.7 else len(copy)
        for position in rng.integers(0, reach, rng.integers(1, 6)):
            copy[position] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
        cut, end = sorted(rng.integers(0, len(copy), 2))
        if rng.random() < 0.2:
            del copy[cut:end]
        elif rng.random() < 0.2:
            copy[cut:cut] = copy[cut:end]
        yield bytes(copy)
