"""Tests an export as it will be served: in a fresh process that has only TensorFlow.

The process loads the version and answers requests: those of the version's warm-up file, and test
utterances whose answers training recorded. The version is not blessed if it does not load, lacks a
signature, returns invalid probabilities, or differs from the trained model.
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
from ser_keras.files import parse_json, replacing
from serving.client.tensors import tensor_of

INFRA = "infra.json"
# The inputs and outputs that every client of this project's servers uses.
INPUTS = {"waveform": "float32", "length": "int32"}
OUTPUTS = {"probabilities": "float32", "label": "string", "classes": "string"}
# The signatures that return features or statistics of a speaker, not probabilities.
WITHOUT_PROBABILITIES = frozenset({"front_end", "enrol", "enrol_embedding"})
# Batches and padding differ from those of training.
TOLERANCE = 1e-4
SUM_TOLERANCE = 1e-4


def probe(version: Path, requests: Sequence[Request], timeout_s: float = 300.0) -> dict[str, Any]:
    """Lets a fresh process answer the requests; returns the result of `infra_probe.answer_all`.

    Raises:
        ExportError: the process could not load the version, died, or took too long.
    """
    payload = {
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
        requests_file, answers_file = Path(folder, "requests.json"), Path(folder, "answers.json")
        requests_file.write_text(json.dumps(payload), encoding="utf-8")
        arguments = [str(version.absolute()), str(requests_file), str(answers_file)]
        _run_probe(version, arguments, folder, timeout_s)
        result: dict[str, Any] = parse_json(answers_file.read_text(encoding="utf-8"))
        return result


def _run_probe(version: Path, arguments: Sequence[str], folder: str, timeout_s: float) -> None:
    try:
        process = subprocess.run(
            [sys.executable, "-I", infra_probe.__file__, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise ExportError(
            f"{version}: no answer in {timeout_s:g} s from a process that has only TensorFlow."
        ) from None
    if process.returncode:
        last_line = (process.stderr.strip().splitlines() or ["no output"])[-1]
        raise ExportError(
            f"{version}: a process that has only TensorFlow ended with {process.returncode}: "
            f"{last_line}"
        )


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
        run: the exported run; with `features`, its test utterances are sent as well.
        features: features that the run was trained on.
        corpus: artifact of the corpus; with it, they are also sent as audio.
        recordings: int. Number of test utterances.
        timeout_s: float. Time limit for all requests.

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
    """Returns (why the version must not be served, what was measured); no reason means it may.

    Args:
        version: folder of the export.
        requests: those to send.
        timeout_s: float. Time limit for all requests.
    """
    facts: dict[str, Any] = {
        "requests": len(requests),
        "recorded": sum(request.answer is not None for request in requests),
    }
    if not requests:
        return [f"{version}: found no warm-up file and no recorded request to send"], facts
    try:
        result = probe(version, requests, timeout_s)
    except ExportError as error:
        return [str(error)], facts
    facts |= {"tensorflow": result["tensorflow"], "load_s": result["load_s"]}
    facts["signatures"] = _timings(requests, result["answers"])
    reasons = [*_signature_faults(result)]
    largest_distance = 0.0
    for request, answer in zip(requests, result["answers"], strict=True):
        faults = [*_answer_faults(request, answer)]
        reasons += [f"{request.title}: {fault}" for fault in faults]
        if request.answer is not None and not faults:
            largest_distance = max(largest_distance, _distance(answer, request.answer))
    return reasons, facts | {"furthest_answer": largest_distance}


def tensorflow_packages() -> list[str]:
    """Returns the top-level modules of TensorFlow and of all its requirements."""
    pending, installed = ["tensorflow"], set()
    while pending:
        name = _normalized(pending.pop())
        if name in installed:
            continue
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        installed.add(name)
        pending += [
            match.group()
            for requirement in requirements
            if "extra ==" not in requirement and (match := re.match(r"[\w.-]+", requirement))
        ]
    modules = importlib.metadata.packages_distributions()
    return sorted(
        module
        for module, distributions in modules.items()
        if installed & {_normalized(distribution) for distribution in distributions}
    )


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _signature_faults(result: Mapping[str, Any]) -> Iterator[str]:
    if result["inputs"] != INPUTS:
        yield f"serving_default takes {result['inputs']}, expected {INPUTS}"
    outputs = {name: kind for name, kind in result["outputs"].items() if name in OUTPUTS}
    if outputs != OUTPUTS:
        yield f"serving_default gives {result['outputs']}, expected {OUTPUTS} among them"


def _answer_faults(request: Request, answer: Mapping[str, Any]) -> Iterator[str]:
    """Yields what is wrong with an answer."""
    if "error" in answer:
        yield f"no answer: {answer['error']}"
        return
    if answer["not_finite"]:
        yield f"{', '.join(answer['not_finite'])}: found values that are not finite"
        return
    if request.signature in WITHOUT_PROBABILITIES:
        return
    if missing := sorted({*OUTPUTS} - {*answer["outputs"]}):
        yield f"found no {', '.join(missing)}"
        return
    probabilities = np.array(answer["outputs"]["probabilities"])
    size = len(next(iter(request.inputs.values())))
    if probabilities.ndim != 2 or len(probabilities) != size:
        yield f"found probabilities of shape {probabilities.shape}, expected ({size}, classes)"
        return
    sums = probabilities.sum(axis=1)
    if (probabilities < 0).any() or np.abs(sums - 1).max() > SUM_TOLERANCE:
        yield f"probabilities sum to {sums}, expected 1 and none below 0"
    classes = answer["outputs"]["classes"]
    likeliest = [names[k] for names, k in zip(classes, probabilities.argmax(1), strict=True)]
    if answer["outputs"]["label"] != likeliest:
        yield f"found the labels {answer['outputs']['label']}, the likeliest are {likeliest}"
    if request.answer is not None:
        distance = _distance(answer, request.answer)
        if not distance <= TOLERANCE:
            yield (
                f"differs by {distance:.2g} from the trained model's answer, expected at most "
                f"{TOLERANCE:g}"
            )


def _distance(answer: Mapping[str, Any], expected: np.ndarray) -> float:
    probabilities = np.array(answer["outputs"]["probabilities"])
    if probabilities.shape != expected.shape:
        return np.inf
    return float(np.abs(probabilities - expected).max())


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
            "first_ms": round(pairs[0][0], 2),
            "median_ms": round(float(np.median([second for _, second in pairs])), 2),
        }
        for name, pairs in times.items()
    }
