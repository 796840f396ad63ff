"""What a Flink cluster here needs: Flink's jars, and the one that runs Beam's jobs on it.

`python -m tests.flink_jars` gets them once into the user's cache folder and says in its last line
which runner there is, or, with exit code 1, why there is none. Flink comes from its Python package,
held against a sha256. The runner is Beam's own job server, of the version of the SDK, where Maven
can get it; elsewhere it is the stand-in of `tests/flink`, compiled against Flink's jars.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pooch

FLINK = "1.20.5"
SHA256 = "e6aee62ea1a1fe7b32e28894ad079f3f1a50a372a4caac3df52405267f4228c8"
JOB_SERVER = f"beam-runners-flink-{FLINK.rpartition('.')[0]}-job-server"
STAND_IN = Path(__file__).parent / "flink"
# Flink itself and its log; the table API stays away. The last has the Beam of the stand-in.
WANTED = ("lib/flink-dist-", "lib/log4j-", "opt/flink-python-")


class NotToBeHadError(Exception):
    """Something is missing; the message is why no Flink can run here."""


@dataclass(frozen=True)
class FlinkJars:
    """Paths of jars.

    Args:
        classpath: what the cluster's processes load.
        runner: the jar that runs Beam's jobs; uploaded with each.
        about: what the runner is, and why, in a sentence.
    """

    classpath: tuple[Path, ...]
    runner: Path
    about: str


def get_flink_jars() -> FlinkJars:
    """Returns the jars, downloaded where they are not yet there.

    Raises:
        NotToBeHadError: Java or Flink is missing.
    """
    if not shutil.which("java"):
        raise NotToBeHadError("no java here; Flink needs Java 11 or 17")
    cache = Path(pooch.os_cache("ser-keras")) / "flink"
    cache.mkdir(parents=True, exist_ok=True)
    jars = tuple(sorted(_flink(cache).glob("*.jar")))
    with_beam = {jar for jar in jars if jar.name.startswith("flink-python-")}
    try:
        runner = _beams_runner(cache)
        about = f"Flink {FLINK} with Beam's job server {version('apache-beam')}"
        return FlinkJars(tuple(jar for jar in jars if jar not in with_beam), runner, about)
    except NotToBeHadError as error:
        about = f"Flink {FLINK} with the stand-in of Beam's runner, since {error}"
        runner = _stand_in(cache, jars)
        # Beam looks for the stand-in's service where its own classes are.
        return FlinkJars((*jars, runner), runner, about)


def _flink(cache: Path) -> Path:
    """Returns the folder of Flink's jars; there under its name only when it is whole."""
    folder = cache / f"flink-{FLINK}"
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(dir=cache) as work:
        wanted = Path(work) / "requirements.txt"
        wanted.write_text(f"apache-flink-libraries=={FLINK} --hash=sha256:{SHA256}\n")
        _say(f"getting Flink {FLINK}, 232 MB, into {folder}")
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary=:all:"]
        command = [*pip, f"--requirement={wanted}", f"--dest={work}"]
        _call(command, f"pip could not get Flink {FLINK}", show=True)
        (archive,) = Path(work).glob("apache_flink_libraries-*.tar.gz")
        unpacked = Path(work) / "jars"
        unpacked.mkdir()
        with tarfile.open(archive) as members:
            for member in members:
                if any(f"/deps/{start}" in member.name for start in WANTED):
                    member.name = Path(member.name).name
                    members.extract(member, unpacked, filter="data")
        unpacked.rename(folder)
    return folder


def _beams_runner(cache: Path) -> Path:
    name = f"{JOB_SERVER}-{version('apache-beam')}.jar"
    jar = cache / name
    if jar.is_file():
        return jar
    if not shutil.which("mvn"):
        raise NotToBeHadError(f"there is no mvn to get {name}")
    with tempfile.TemporaryDirectory(dir=cache) as work:
        artifact = f"org.apache.beam:{JOB_SERVER}:{version('apache-beam')}"
        _say(f"getting {name} by Maven")
        # Without the right checksum it is no success.
        maven = ["mvn", "--batch-mode", "--strict-checksums", "dependency:copy"]
        command = [*maven, f"-Dartifact={artifact}", f"-DoutputDirectory={work}"]
        _call(command, f"Maven could not get {artifact}")
        (Path(work) / name).rename(jar)
    return jar


def _stand_in(cache: Path, jars: Sequence[Path]) -> Path:
    if not shutil.which("javac"):
        raise NotToBeHadError("no javac for the stand-in of Beam's runner, and no Beam's own")
    source = STAND_IN / "FlinkPipelineRunner.java"
    digest = hashlib.sha256(FLINK.encode() + source.read_bytes()).hexdigest()
    jar = cache / f"stand-in-{digest[:16]}.jar"
    if jar.is_file():
        return jar
    with tempfile.TemporaryDirectory(dir=cache) as work:
        classes, built = Path(work) / "classes", Path(work) / jar.name
        classpath = os.pathsep.join(map(str, jars))
        services = ["-C", str(STAND_IN), "META-INF"]
        failing = f"{source} could not be compiled"
        _call(["javac", "-nowarn", "-cp", classpath, "-d", str(classes), str(source)], failing)
        _call(["jar", "cf", str(built), "-C", str(classes), ".", *services], failing)
        built.rename(jar)
    return jar


def _call(command: Sequence[str], failing: str, *, show: bool = False) -> None:
    output = None if show else subprocess.PIPE
    done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        errors = [line for line in (done.stdout or "").splitlines() if "error" in line.lower()]
        _say("\n".join(errors[:3]))
        raise NotToBeHadError(failing)


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def main() -> None:
    try:
        _say(get_flink_jars().about)
    except NotToBeHadError as error:
        _say(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
