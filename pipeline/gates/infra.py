"""Whether an export runs where it will be served: in a fresh process that has TensorFlow alone.

The process loads the version and answers requests: those of the version's warm-up file, and test
utterances whose answers training wrote down. A version that does not load, lacks a signature, says
what is no probability, or something else than the trained model, is not blessed.
"""

import base64
import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.gates import infra_probe
from pipeline.gates.blessing import bless
from pipeline.gates.infra_requests import Request, recorded_requests, warmup_requests
from pipeline.publishing.file_hashes import Hashes
from pipeline.statistics.file import as_json
from ser_keras.errors import ConfigError, ExportError, SchemaError
from ser_keras.files import replacing
from serving.client.tensors import tensor_of

INFRA = "infra.json"
# What every client of this project's servers asks, and what it reads.
INPUTS = {"waveform": "float32", "length": "int32"}
OUTPUTS = {"probabilities": "float32", "label": "string", "classes": "string"}
# The one signature that gives features, not an answer.
NO_ANSWER = "front_end"
# Other batches and another padding than in training.
TOLERANCE = 1e-4
SUM_TOLERANCE = 1e-4


def probe(version: Path, requests: Sequence[Request], timeout_s: float = 300.0) -> dict[str, Any]:
    """Lets a fresh process answer the requests; returns `infra_probe.answer_all`'s answer.

    Raises:
        ExportError: the process could not load the version, died, or took too long.
    """
    asked = {
        "packages": tensorflow_packages(),
        "requests": [
            {
                "signature": request.signature,
                "inputs": {
                    name: base64.b64encode(tensor_of(values).SerializeToString()).decode()
                    for name, values in request.inputs.items()
                },
            }
            for request in requests
        ],
    }
    with tempfile.TemporaryDirectory(prefix="ser-infra-") as folder:
        asking, answering = Path(folder, "requests.json"), Path(folder, "answers.json")
        asking.write_text(json.dumps(asked), encoding="utf-8")
        program = [sys.executable, "-I", infra_probe.__file__]
        try:
            done = subprocess.run(
                [*program, str(version.absolute()), str(asking), str(answering)],
                capture_output=True,
                text=True,
                check=False,
                cwd=folder,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise ExportError(
                f"{version}: no answer in {timeout_s:g} s from a process that has TensorFlow alone."
            ) from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise ExportError(
                f"{version}: a process that has TensorFlow alone ended with {done.returncode}: "
                f"{last}"
            )
        found: dict[str, Any] = json.loads(answering.read_text(encoding="utf-8"))
        return found


def judge_export(
    version: Path,
    output: Path,
    *,
    run: Path | None = None,
    features: Path | None = None,
    corpus: Path | None = None,
    recordings: int = 8,
    timeout_s: float = 300.0,
) -> tuple[list[str], dict[str, Any]]:
    """Validates an export, writes `infra.json` and the verdict into `output`; returns both.

    Args:
        version: folder of the export.
        output: folder of the verdict.
        run: the run that was exported; with `features`, its test utterances are asked, too.
        features: features that the run was trained on.
        corpus: artifact of the corpus; with it they are asked as audio as well.
        recordings: int. How many of them.
        timeout_s: float. How long all of it may take.

    Returns:
        (why the version must not be served, what was measured).

    Raises:
        ConfigError: only one of `run` and `features` is given, or a corpus without them.
    """
    if (run is None) != (features is None) or (corpus is not None and run is None):
        raise ConfigError(
            "infra validation: give both, run and features, or neither; a corpus only with them."
        )
    try:
        requests = warmup_requests(version)
        if run is not None and features is not None:
            requests += recorded_requests(version, run, features, corpus, recordings)
        reasons, facts = validate_export(version, requests, timeout_s)
    except (ExportError, SchemaError) as error:
        reasons, facts = [str(error)], {}
    output.mkdir(parents=True, exist_ok=True)
    with replacing(output / INFRA) as stream:
        stream.write(as_json({"sha256": Hashes().of(version), "reasons": reasons, **facts}))
    bless(output, reasons)
    return reasons, facts


def validate_export(
    version: Path, requests: Sequence[Request], timeout_s: float = 300.0
) -> tuple[list[str], dict[str, Any]]:
    """Returns (why the version must not be served, what was measured); no reason: it may.

    Args:
        version: folder of the export.
        requests: what is asked.
        timeout_s: float. How long all of it may take.
    """
    facts: dict[str, Any] = {
        "requests": len(requests),
        "recorded": sum(request.answer is not None for request in requests),
    }
    if not requests:
        return [f"{version}: found no warm-up file and no recorded request to ask"], facts
    try:
        found = probe(version, requests, timeout_s)
    except ExportError as error:
        return [str(error)], facts
    facts |= {"tensorflow": found["tensorflow"], "load_s": found["load_s"]}
    facts["signatures"] = _timings(requests, found["answers"])
    reasons = [*_signature_faults(found)]
    furthest = 0.0
    for request, answer in zip(requests, found["answers"], strict=True):
        faults = [*_faults(request, answer)]
        reasons += [f"{request.what}: {fault}" for fault in faults]
        if request.answer is not None and not faults:
            furthest = max(furthest, _distance(answer, request.answer))
    return reasons, facts | {"furthest_answer": furthest}


def tensorflow_packages() -> list[str]:
    """Returns the top-level modules of TensorFlow and of all that it requires."""
    wanted, known = ["tensorflow"], set()
    while wanted:
        name = _normal(wanted.pop())
        if name in known:
            continue
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        known.add(name)
        wanted += [
            match.group()
            for each in required
            if "extra ==" not in each and (match := re.match(r"[\w.-]+", each))
        ]
    modules = importlib.metadata.packages_distributions()
    return sorted(
        module for module, owners in modules.items() if known & {_normal(each) for each in owners}
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _signature_faults(found: Mapping[str, Any]) -> Iterator[str]:
    if found["inputs"] != INPUTS:
        yield f"serving_default takes {found['inputs']}, expected {INPUTS}"
    given = {name: kind for name, kind in found["outputs"].items() if name in OUTPUTS}
    if given != OUTPUTS:
        yield f"serving_default gives {found['outputs']}, expected {OUTPUTS} among them"


def _faults(request: Request, answer: Mapping[str, Any]) -> Iterator[str]:
    """Yields what is wrong with an answer."""
    if "error" in answer:
        yield f"no answer: {answer['error']}"
        return
    if answer["not_finite"]:
        yield f"{', '.join(answer['not_finite'])}: found values that are not finite"
        return
    if request.signature == NO_ANSWER:
        return
    if missing := sorted({*OUTPUTS} - {*answer["outputs"]}):
        yield f"found no {', '.join(missing)}"
        return
    said = np.array(answer["outputs"]["probabilities"])
    size = len(next(iter(request.inputs.values())))
    if said.ndim != 2 or len(said) != size:
        yield f"found probabilities of shape {said.shape}, expected ({size}, classes)"
        return
    if (said < 0).any() or np.abs(said.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        yield f"probabilities sum to {said.sum(axis=1)}, expected 1 and none below 0"
    best = [names[k] for names, k in zip(answer["outputs"]["classes"], said.argmax(1), strict=True)]
    if answer["outputs"]["label"] != best:
        yield f"found the labels {answer['outputs']['label']}, the likeliest are {best}"
    if request.answer is not None:
        far = _distance(answer, request.answer)
        if not far <= TOLERANCE:
            yield f"is {far:.2g} from what the trained model said, expected at most {TOLERANCE:g}"


def _distance(answer: Mapping[str, Any], expected: np.ndarray) -> float:
    said = np.array(answer["outputs"]["probabilities"])
    return float(np.abs(said - expected).max()) if said.shape == expected.shape else np.inf


def _timings(
    requests: Sequence[Request], answers: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """Returns the first and the median time of each signature's requests."""
    times: dict[str, list[list[float]]] = {}
    for request, answer in zip(requests, answers, strict=True):
        if "times_ms" in answer:
            times.setdefault(request.signature, []).append(answer["times_ms"])
    return {
        name: {
            "first_ms": round(found[0][0], 2),
            "median_ms": round(float(np.median([again for _, again in found])), 2),
        }
        for name, found in times.items()
    }
