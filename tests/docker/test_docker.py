"""docker/, read as text: no container engine runs here. docker/README.md says so too."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from easel.embedded import commands
from easel.env import REPOSITORY, Environment

from finetune.env import TrainEnvironment
from generation.env import WorkerEnvironment

DOCKER = REPOSITORY / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
OURS = ["web", "web-worker", "render-worker", "train-worker", "beat", "migrate"]
SECRETS = ("PASSWORD", "SECRET", "AUTH")


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile: name and the rest, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def test_compose_runs_the_same_command_lines_as_run_up() -> None:
    expected = {
        "web": commands.web(commands.CONTAINER_BIND),
        "web-worker": commands.WEB_WORKER,
        "render-worker": commands.RENDER_WORKER,
        "train-worker": commands.TRAIN_WORKER,
        "beat": commands.beat("/var/lib/easel/beat-schedule"),
    }
    assert {name: tuple(SERVICES[name]["command"]) for name in expected} == expected


def test_each_image_s_own_command_is_the_one_that_compose_gives_it() -> None:
    for dockerfile, service in [("web.Dockerfile", "web"), ("gpu.Dockerfile", "render-worker")]:
        found = dict(instructions(DOCKER / dockerfile))["CMD"]
        assert json.loads(found) == SERVICES[service]["command"]


def test_every_part_of_easel_is_a_service() -> None:
    assert SERVICES.keys() == {*OURS, "nginx", "postgres", "valkey"}
    assert SERVICES["postgres"]["image"].startswith("postgres:18.")


def test_images_and_volumes_are_named_where_they_are_used() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (DOCKER / source).is_file(), f"{name}: {volume}"
        assert set(service["networks"]) <= COMPOSE["networks"].keys(), name
    for service in SERVICES.values():
        if "build" in service:
            assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_every_image_is_pinned_to_a_version() -> None:
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+\.\d+", service["image"]), f"{name}: {service['image']}"


def test_whoever_waits_for_a_service_waits_for_its_health() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            finishes = SERVICES[needed].get("restart") == "no"
            assert how["condition"] == ("service_completed_successfully" if finishes else "service_healthy"), name
            built_with_check = "HEALTHCHECK" in dict(instructions(DOCKER / "web.Dockerfile")) and needed == "web"
            assert finishes or built_with_check or "test" in SERVICES[needed]["healthcheck"], needed


def test_every_service_has_a_health_check_or_says_that_it_has_none() -> None:
    for name, service in SERVICES.items():
        assert "healthcheck" in service or "build" in service, name


def test_nothing_has_more_rights_than_it_needs() -> None:
    for name in [*OURS, "nginx"]:
        service = SERVICES[name]
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
    for name, service in SERVICES.items():
        forbidden = {"privileged", "network_mode", "pid", "ipc", "cap_add", "devices"} & service.keys()
        assert not forbidden, f"{name}: {forbidden}"
        assert not any("docker.sock" in volume for volume in service.get("volumes", [])), name


def test_only_nginx_is_reachable_from_outside_and_at_first_from_this_machine_alone() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert SERVICES["nginx"]["ports"] == ["${EASEL_LISTEN:-127.0.0.1:8080}:8080"]
    assert COMPOSE["networks"]["data"]["internal"] is COMPOSE["networks"]["broker"]["internal"] is True


@pytest.mark.parametrize("name", ["render-worker", "train-worker"])
def test_a_gpu_worker_can_reach_neither_the_database_nor_its_password(name: str) -> None:
    worker = SERVICES[name]
    assert not set(worker["networks"]) & set(SERVICES["postgres"]["networks"])
    assert "POSTGRES_PASSWORD" not in json.dumps(worker)
    assert "EASEL_SECRET_KEY" not in json.dumps(worker)


def test_every_secret_comes_from_the_environment_and_its_absence_stops_the_start() -> None:
    needed = set()
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if any(word in variable for word in SECRETS) or ("://" in value and "@" in value):
                assert re.search(r"\$\{\w+:\?", value), f"{name}: {variable}"
        needed |= set(re.findall(r"\$\{(\w+):\?", json.dumps(service)))
    offered = dict(re.findall(r"^(\w+)=(.*)$", (DOCKER / ".env.example").read_text(), flags=re.MULTILINE))
    assert offered == dict.fromkeys(needed, "")


def test_services_are_told_only_what_they_read() -> None:
    def names(model: type[Environment] | type[WorkerEnvironment]) -> set[str]:
        return {str(field.validation_alias or f"EASEL_{name.upper()}") for name, field in model.model_fields.items()}

    for name in ["web", "web-worker", "beat", "migrate"]:
        assert SERVICES[name]["environment"].keys() <= names(Environment), name
    assert SERVICES["render-worker"]["environment"].keys() <= names(WorkerEnvironment)
    assert SERVICES["train-worker"]["environment"].keys() <= names(TrainEnvironment)


def test_nginx_serves_images_only_on_the_platform_s_word() -> None:
    nginx = (DOCKER / "nginx.conf").read_text()
    location = SERVICES["web"]["environment"]["EASEL_MEDIA_ACCEL"]
    block = re.search(rf"location {location} \{{(.*?)\}}", nginx, flags=re.DOTALL)
    assert block is not None
    assert re.search(r"^\s*internal;", block[1], flags=re.MULTILINE)
    folder = SERVICES["web"]["environment"]["STORAGE_URL"].removeprefix("file://")
    assert f"alias {folder}/;" in block[1]
    assert f"images:{folder}:ro" in SERVICES["nginx"]["volumes"]
    assert nginx.count("{") == nginx.count("}")


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
class TestDockerfile:
    """The rules of hadolint that matter here."""

    def test_base_images_are_pinned_and_the_last_stage_copies_from_the_first(self, dockerfile: Path) -> None:
        bases = [rest for name, rest in instructions(dockerfile) if name == "FROM"]
        assert len(bases) == 2, "one stage builds, one runs"
        assert all(re.match(r"[\w/-]+:\d+\.\d+\.\d+-\w", base) for base in bases)
        copies = [rest for name, rest in instructions(dockerfile) if name == "COPY" and rest.startswith("--from=build")]
        assert copies

    def test_it_ends_as_an_ordinary_user(self, dockerfile: Path) -> None:
        users = [rest for name, rest in instructions(dockerfile) if name == "USER"]
        assert users == ["easel"]

    def test_it_adds_nothing_from_the_network_and_leaves_no_package_lists(self, dockerfile: Path) -> None:
        for name, rest in instructions(dockerfile):
            assert name != "ADD"
            assert "sudo" not in rest
            if "apt-get install" in rest:
                assert "--no-install-recommends" in rest
                assert "rm -rf /var/lib/apt/lists/*" in rest

    def test_it_has_a_health_check_and_exec_form_commands(self, dockerfile: Path) -> None:
        found = dict(instructions(dockerfile))
        assert json.loads(found["CMD"])
        assert json.loads(found["HEALTHCHECK"].partition("CMD ")[2])

    def test_python_packages_are_installed_by_hash_and_torch_in_the_pinned_version(self, dockerfile: Path) -> None:
        pin = re.search(r'"(torch==[\d.]+)"', (REPOSITORY / "pyproject.toml").read_text())
        assert pin is not None
        for name, rest in instructions(dockerfile):
            if name == "RUN" and "install" in rest and "pip" in rest:
                words = json.loads(rest) if rest.startswith("[") else shlex.split(rest)
                assert "--require-hashes" in words or "--editable" in words or words[-1] == pin[1]

    def test_what_it_copies_is_there_and_let_through(self, dockerfile: Path) -> None:
        allowed = dockerfile.with_name(f"{dockerfile.name}.dockerignore").read_text().splitlines()
        assert allowed[0] == "**", "everything is left out but what is named"
        for name, rest in instructions(dockerfile):
            if name == "COPY" and not rest.startswith("--from"):
                for source in rest.split()[:-1]:
                    assert (REPOSITORY / source).exists(), source
                    top = source.split("/")[0]
                    assert any(line.removeprefix("!").split("/")[0] == top for line in allowed[1:]), source

    def test_no_secret_is_built_in(self, dockerfile: Path) -> None:
        for name, rest in instructions(dockerfile):
            if name in {"ENV", "ARG"}:
                assert not any(word in rest for word in (*SECRETS, "TOKEN", "DATABASE_URL")), rest
