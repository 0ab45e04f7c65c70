"""What a worker's environment says about image services."""

from __future__ import annotations

from pathlib import Path

import pytest

from generation.services import ApiService, read_services

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reference" / "settings.md"
GOOD = {"EASEL_API_MY_PAINTER_URL": "https://api.example.com/v1/", "EASEL_API_MY_PAINTER_MODEL": "m"}


def test_services_are_read_by_name_and_the_key_is_in_no_text_of_them() -> None:
    found = read_services(
        GOOD
        | {
            "EASEL_API_MY_PAINTER_KEY": "sk-secret",
            "EASEL_API_MY_PAINTER_IMAGES_PER_MINUTE": "30",
            "EASEL_API_MY_PAINTER_COST_PER_IMAGE": "",
            "EASEL_API_2_URL": "http://[::1]:8000",
            "EASEL_API_2_MODEL": "x",
            "EASEL_HOME": "/elsewhere",
        }
    )
    assert set(found) == {"my-painter", "2"}
    mine = found["my-painter"]
    assert (mine.url, mine.model, mine.images_per_minute) == ("https://api.example.com/v1", "m", 30.0)
    assert mine.cost_per_image is None
    assert "sk-secret" not in repr(found) + str(mine) + mine.model_dump_json()
    assert mine.key.get_secret_value() == "sk-secret"


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"EASEL_API_X_KEY": "sk-secret", "EASEL_API_X_MODEL": "m"}, "EASEL_API_X_URL is not set"),
        (GOOD | {"EASEL_API_MY_PAINTER_KEI": "sk-secret"}, "EASEL_API_MY_PAINTER_KEI is no setting of a service"),
        (GOOD | {"EASEL_API_MY_PAINTER_KEY": "sk-secret\r\nX: y"}, "EASEL_API_MY_PAINTER_KEY: must be ASCII"),
        (GOOD | {"EASEL_API_MY_PAINTER_KEY": "sk-secrét"}, "EASEL_API_MY_PAINTER_KEY: must be ASCII"),
        (GOOD | {"EASEL_API_MY_PAINTER_URL": "ftp://sk-secret"}, "EASEL_API_MY_PAINTER_URL: must look like"),
        (GOOD | {"EASEL_API_MY_PAINTER_URL": "https://a:sk-secret@b/v1"}, "EASEL_API_MY_PAINTER_URL: must look like"),
        (GOOD | {"EASEL_API_MY_PAINTER_URL": "https://b/v1?key=sk-secret"}, "EASEL_API_MY_PAINTER_URL: must look"),
        (GOOD | {"EASEL_API_MY_PAINTER_URL": "https://b:sk-secret/v1"}, "EASEL_API_MY_PAINTER_URL: must look like"),
        (GOOD | {"EASEL_API_MY_PAINTER_URL": "https:///v1"}, "EASEL_API_MY_PAINTER_URL: must look like"),
        (GOOD | {"EASEL_API_MY_PAINTER_PARALLEL": "many"}, "EASEL_API_MY_PAINTER_PARALLEL: Input should be"),
        (GOOD | {"EASEL_API_MY_PAINTER_SIZE": "big"}, "EASEL_API_MY_PAINTER_SIZE: String should match"),
        (GOOD | {"EASEL_API_MY_PAINTER_RESPONSE_FORMAT": "png"}, "EASEL_API_MY_PAINTER_RESPONSE_FORMAT: Input"),
    ],
)
def test_a_bad_variable_stops_the_worker_with_its_name_and_without_its_value(
    variables: dict[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read_services(variables)
    said = capsys.readouterr().err
    assert said.startswith(complaint)
    assert said.count("\n") == 1
    assert "sk-secr" not in said


def test_every_setting_of_a_service_is_documented_with_its_default() -> None:
    text = DOCUMENT.read_text()
    for name, field in ApiService.model_fields.items():
        row = next((line for line in text.splitlines() if line.startswith(f"| `EASEL_API_NAME_{name.upper()}` ")), None)
        assert row is not None, name
        assert field.description, name
        if isinstance(field.default, int | float):
            assert f"| {field.default:g} |" in row, name
