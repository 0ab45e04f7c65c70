"""What the processes of `./run up` are told."""

from __future__ import annotations

import pytest
from easel.embedded import up
from easel.env import environment


def test_keys_of_image_services_reach_the_worker_and_not_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_API_PAINTER_KEY", "sk-secret")
    assert "sk-secret" not in up._platform_environment().values()
    assert up._worker_environment(environment)["EASEL_API_PAINTER_KEY"] == "sk-secret"


def test_the_worker_is_not_told_what_opens_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://easel:sk-secret@localhost/easel")
    monkeypatch.setenv("PGPASSWORD", "sk-secret")
    monkeypatch.setenv("EASEL_SECRET_KEY", "sk-secret" * 4)
    assert not any("sk-secret" in value for value in up._worker_environment(environment).values())
