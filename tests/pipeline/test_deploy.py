"""The option files build the job's graph for their engines; no engine and no network is needed."""

import re
from importlib.metadata import version
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, WorkerOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2 as beam_api
from apache_beam.transforms.environments import DockerEnvironment, Environment

from pipeline.features.shards import WriteListedShards
from ser_keras.audio import AudioLimits
from tests.pipeline.conftest import SPEC

DEPLOY = Path(__file__).parents[2] / "pipeline/deploy"
ENGINES = ("flink", "spark", "dataflow")
RUNNERS = {"flink": "FlinkRunner", "spark": "SparkRunner", "dataflow": "DataflowRunner"}


def arguments(engine):
    """The file's arguments, as the command in it hands them to Beam."""
    lines = (DEPLOY / f"{engine}.options").read_text().splitlines()
    return [word for line in lines if not line.startswith("#") for word in line.split()]


def environment_of(engine):
    """The environment of the job's steps in the graph that the runner would send."""
    options = PipelineOptions(arguments(engine))
    image = options.view_as(WorkerOptions).sdk_container_image
    pipeline = beam.Pipeline(options=options)
    assert type(pipeline.runner).__name__ == RUNNERS[engine]
    (
        pipeline
        | beam.Create([0, 1], reshuffle=False)
        | WriteListedShards("/shared/features", 2, SPEC, AudioLimits())
    )
    default = (
        DockerEnvironment.from_container_image(image)
        if image
        else Environment.from_options(options.view_as(PortableOptions))
    )
    proto = pipeline.to_runner_api(default_environment=default)
    (writer,) = (
        step
        for step in proto.components.transforms.values()
        if step.unique_name.endswith("Write shard") and step.environment_id
    )
    return proto.components.environments[writer.environment_id]


@pytest.mark.parametrize("engine", ENGINES)
def test_beam_knows_every_option_of_a_file(engine):
    names = {argument.partition("=")[0].removeprefix("--") for argument in arguments(engine)}
    assert names
    assert names <= set(PipelineOptions([]).get_all_options())


@pytest.mark.parametrize("engine", ["flink", "spark"])
def test_a_cluster_asks_the_pool_beside_it_for_workers(engine):
    environment = environment_of(engine)
    assert environment.urn == common_urns.environments.EXTERNAL.urn
    payload = beam_api.ExternalPayload.FromString(environment.payload)
    assert payload.endpoint.url == "localhost:50000"


def test_dataflow_starts_the_image_of_the_file():
    environment = environment_of("dataflow")
    assert environment.urn == common_urns.environments.DOCKER.urn
    image = beam_api.DockerPayload.FromString(environment.payload).container_image
    assert f"--sdk_container_image={image}" in arguments("dataflow")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_command_in_a_file_names_that_file(engine):
    text = (DEPLOY / f"{engine}.options").read_text()
    assert f"$(grep -v '^#' pipeline/deploy/{engine}.options)" in text


def test_the_workers_image_copies_what_is_there():
    dockerfile = (DEPLOY / "worker.Dockerfile").read_text()
    copies = [line.split() for line in dockerfile.splitlines() if line.startswith("COPY")]
    names = {name for _, *sources, _ in copies for name in sources}
    assert {"setup.cfg", "constraints.txt", "ser_keras", "pipeline"} <= names
    assert [name for name in names if not (DEPLOY.parents[1] / name).exists()] == []


def test_the_workers_image_has_the_beam_of_the_driver():
    dockerfile = (DEPLOY / "worker.Dockerfile").read_text()
    (image,) = re.findall(r"^FROM (.*)$", dockerfile, re.MULTILINE)
    base = f"apache/beam_python3.11_sdk:{version('apache-beam')}"
    assert image == f"{base}@${{BEAM_DIGEST}}"
    # The commands that print the digest name the same image.
    assert re.findall(r"BASE=(\S+)", dockerfile) == [base]
    page = (DEPLOY.parents[1] / "docs/engines.md").read_text()
    assert re.findall(r"BASE=(\S+)", page) == [base]
