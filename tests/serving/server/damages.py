"""What copies, disks and mistakes make of the folder of a version."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from ser_keras.errors import ConfigError
from serving.export.trust.hashes import SUMS, write_hashes
from serving.export.warmup import FILE

Damage = Callable[[Path], object]
GRAPH = "saved_model.pb"
WEIGHTS = "variables/variables.data-00000-of-00001"
INDEX = "variables/variables.index"
WARM_UP = f"assets.extra/{FILE}"
FILES = (GRAPH, INDEX, WEIGHTS, WARM_UP)


def bits_flipped(content: bytes, rng: np.random.Generator) -> bytes:
    changed = np.frombuffer(content, np.uint8).copy()
    places = rng.integers(0, len(changed), rng.integers(1, 9))
    changed[places] ^= (1 << rng.integers(0, 8, len(places))).astype(np.uint8)
    return changed.tobytes()


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(1, len(content))]


def overwritten(content: bytes, rng: np.random.Generator) -> bytes:
    start = rng.integers(0, len(content))
    return content[:start] + rng.bytes(64) + content[start + 64 :]


def inserted(content: bytes, rng: np.random.Generator) -> bytes:
    start = rng.integers(0, len(content))
    return content[:start] + rng.bytes(16) + content[start:]


def garbage(content: bytes, rng: np.random.Generator) -> bytes:
    return rng.bytes(len(content))


MUTATIONS = (bits_flipped, cut, overwritten, inserted, garbage)


def mutate(folder: Path, name: str, mutation: Callable[..., bytes], seed: int) -> None:
    content = (folder / name).read_bytes()
    changed = mutation(content, np.random.default_rng(seed))
    if changed == content:
        raise ValueError(f"{mutation.__name__} with seed {seed} changed nothing in {name}")
    (folder / name).write_bytes(changed)


def remove(folder: Path, name: str) -> None:
    path = folder / name
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def empty(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")


def replace_by_folder(folder: Path, name: str) -> None:
    remove(folder, name)
    (folder / name).mkdir()


def replace_by_link(folder: Path, name: str, target: str) -> None:
    remove(folder, name)
    (folder / name).symlink_to(target)


def replace_by_pipe(folder: Path, name: str) -> None:
    remove(folder, name)
    os.mkfifo(folder / name)


def become_link(folder: Path, target: str) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(target)


def become_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


def become_empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def become_unreadable(folder: Path) -> None:
    """What only root could read."""
    (folder / GRAPH).chmod(0)
    folder.chmod(0)
    if os.geteuid() == 0:
        # Root reads everything, but not a process's memory at address 0.
        folder.chmod(0o755)
        replace_by_link(folder, GRAPH, "/proc/self/mem")


def change_saver(folder: Path, field: str, value: str) -> None:
    """Lets the description of how weights are restored point elsewhere."""
    saved = SavedModel.FromString((folder / GRAPH).read_bytes())
    setattr(saved.meta_graphs[0].saver_def, field, value)
    (folder / GRAPH).write_bytes(saved.SerializeToString())


def use_other_tag(folder: Path) -> None:
    saved = SavedModel.FromString((folder / GRAPH).read_bytes())
    saved.meta_graphs[0].meta_info_def.tags[:] = ["trial"]
    (folder / GRAPH).write_bytes(saved.SerializeToString())


def damages() -> dict[str, Damage]:
    """Returns 61 damages by name; the same ones at each call."""
    by_name: dict[str, Damage] = {}
    for number, name in enumerate(FILES):
        for kind, mutation in enumerate(MUTATIONS):
            for seed in range(2):
                by_name[f"{name} {mutation.__name__} {seed}"] = partial(
                    mutate, name=name, mutation=mutation, seed=100 * number + 10 * kind + seed
                )
    for name in (GRAPH, INDEX, WEIGHTS, "variables"):
        by_name[f"{name} missing"] = partial(remove, name=name)
    for name in (GRAPH, INDEX, WEIGHTS):
        by_name[f"{name} empty"] = partial(empty, name=name)
    for name in (GRAPH, WARM_UP):
        by_name[f"{name} a folder"] = partial(replace_by_folder, name=name)
        by_name[f"{name} a loop"] = partial(replace_by_link, name=name, target=Path(name).name)
    by_name["saver without its operation"] = partial(
        change_saver, field="restore_op_name", value="nowhere"
    )
    by_name["saver without its file"] = partial(
        change_saver, field="filename_tensor_name", value="nowhere:0"
    )
    return by_name | {
        "saved_model.pb a pipe": partial(replace_by_pipe, name=GRAPH),
        "variables a loop": partial(replace_by_link, name="variables", target="variables"),
        "another tag": use_other_tag,
        "a link to nothing": partial(become_link, target="nowhere"),
        "a link to itself": partial(become_link, target="2"),
        "a file": become_file,
        "empty": become_empty,
        "unreadable": become_unreadable,
    }


def with_own_hashes(damage: Damage) -> Damage:
    """Returns a damage whose hashes are right, so that TensorFlow itself meets it."""

    def damage_and_list(folder: Path) -> None:
        damage(folder)
        with suppress(ConfigError):
            if (folder / SUMS).is_file():
                write_hashes(folder)

    return damage_and_list
