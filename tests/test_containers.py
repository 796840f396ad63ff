"""Every container runs the bytes that were chosen, with no more rights than it needs."""

import re
import subprocess

import pytest
import typer
import yaml
from typer.main import get_command

from serving.cli.serve import serve
from serving.server.config_files import read_batching, read_models, read_monitoring
from tests.architecture import ROOT

FOLDERS = (
    ".ci",
    "benchmarks",
    "docs",
    "examples",
    "pipeline",
    "ser_keras",
    "serving",
    "tests",
    "tuning",
)
FILES = [*ROOT.glob("*"), *(path for name in FOLDERS for path in (ROOT / name).rglob("*"))]
DOCKERFILES = [path for path in FILES if "Dockerfile" in path.name]
COMPOSE_FILES = [path for path in FILES if re.search(r"compose.*\.ya?ml$", path.name)]
NOBODY = "65532:65532"


def services():
    """Every service of every compose file, by a name for the test."""
    for path in COMPOSE_FILES:
        for name, service in yaml.safe_load(path.read_text())["services"].items():
            yield pytest.param(service, id=f"{path.parent.parent.name}-{name}")


def test_all_files_are_found():
    found_names = {path.relative_to(ROOT).as_posix() for path in (*DOCKERFILES, *COMPOSE_FILES)}
    assert found_names == {
        "pipeline/deploy/worker.Dockerfile",
        "pipeline/deploy/worker.compose.yaml",
        "serving/deploy/compose.yaml",
    }


@pytest.mark.parametrize("service", list(services()))
class TestService:
    def test_the_image_has_a_digest_that_must_be_given(self, service):
        image = service["image"]
        assert "latest" not in image
        # Compose ends with the sentence after the question mark where the variable is unset.
        assert re.fullmatch(r"[\w./-]+:[\w.]+@\$\{\w+_DIGEST:\?[^}]+\}", image) or re.fullmatch(
            r"\$\{\w+_IMAGE:\?[^}]*digest[^}]*@sha256[^}]*\}", image
        )

    def test_it_is_not_root_and_cannot_become_root(self, service):
        assert re.fullmatch(rf"\$\{{\w+_USER:-{NOBODY}\}}", service["user"])
        assert service["cap_drop"] == ["ALL"]
        assert "cap_add" not in service
        assert "privileged" not in service
        assert service["security_opt"] == ["no-new-privileges:true"]

    def test_it_writes_to_a_small_tmp_and_to_what_is_mounted(self, service):
        assert service["read_only"] is True
        for mount in service["tmpfs"]:
            assert re.fullmatch(r"/tmp:size=\d+[mg],(noexec,)?nosuid,nodev", mount)
        assert not any("docker.sock" in volume for volume in service["volumes"])

    def test_it_takes_a_share_of_memory_processes_and_logs(self, service):
        assert re.search(r"\d+g", service["mem_limit"])
        # Without this it swaps as much again.
        assert service["memswap_limit"] == service["mem_limit"]
        assert service["pids_limit"] > 0
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}

    def test_docker_knows_whether_it_works_and_starts_it_again(self, service):
        check = service["healthcheck"]
        assert check["test"][0] == "CMD"
        assert {"interval", "timeout", "start_period", "retries"} <= check.keys()
        assert service["restart"] == "unless-stopped"


def test_ports_and_models_of_the_server_are_closed_to_others():
    server = yaml.safe_load((ROOT / "serving/deploy/compose.yaml").read_text())["services"][
        "serving"
    ]
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])
    assert all(volume.endswith(":ro") for volume in server["volumes"])


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_is_built_on_a_digest_and_ends_as_nobody(path):
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    bases = [line.removeprefix("FROM ") for line in lines if line.startswith("FROM")]
    assert bases
    for base in bases:
        (variable,) = re.findall(r"@\$\{(\w+)\}$", base)
        # Without a default: a build without the digest ends.
        assert f"ARG {variable}" in lines
    instructions = [line.partition(" ")[0] for line in lines]
    assert f"USER {NOBODY}" in lines
    assert not {"RUN", "COPY", "ADD"} & set(instructions[lines.index(f"USER {NOBODY}") :])
    assert "ADD" not in instructions


def healthcheck_of(path, service):
    """The command of a service's health check."""
    return yaml.safe_load((ROOT / path).read_text())["services"][service]["healthcheck"]["test"][1:]


def test_the_health_check_of_the_server_asks_for_the_model_of_the_configuration():
    *_, script = healthcheck_of("serving/deploy/compose.yaml", "serving")
    models = (ROOT / "serving/deploy/models.config").read_text()
    assert re.findall(r"/v1/models/(\w+)", script) == re.findall(r'name: "(\w+)"', models)


def test_the_options_of_the_container_are_those_of_ser_serve():
    text = (ROOT / "serving/deploy/compose.yaml").read_text()
    # Those in comments are to be added by hand.
    options = set(re.findall(r"^ *#? *- (--\w+)=", text, re.MULTILINE))
    assert {"--model_config_file", "--ssl_config_file", "--batching_parameters_file"} <= options
    app = typer.Typer()
    app.command()(serve)
    known = {name for parameter in get_command(app).params for name in parameter.opts}
    # `ser serve` always tells its health.
    assert options - known == {"--enable_grpc_healthcheck_service"}


def test_the_files_of_the_container_are_there_and_can_be_read():
    folder = ROOT / "serving/deploy"
    text = (folder / "compose.yaml").read_text()
    files = set(re.findall(r"=/config/([\w.]+)", text))
    assert files == {"models.config", "monitoring.config", "batching.config", "ssl.config"}
    assert read_models(folder / "models.config")[0].base_path.is_absolute()
    assert read_monitoring(folder / "monitoring.config").startswith("/")
    assert read_batching(folder / "batching.config").max_rows > 1
    assert (folder / "ssl.config.example").is_file()


def test_the_health_check_of_the_workers_asks_the_port_of_the_pool():
    *command, script = healthcheck_of("pipeline/deploy/worker.compose.yaml", "worker")
    assert command == ["python", "-c"]
    assert "50000" in script
    compile(script, "healthcheck", "exec")
    closed = subprocess.run(["python", "-c", script.replace("50000", "9")], check=False, timeout=30)
    assert closed.returncode == 1
