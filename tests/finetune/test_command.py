"""The command line of the trainers, and the YAML files with every knob."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from finetune import command, defaults, dpo, listwise, losses, rwr
from finetune.errors import WrongBaseError, WrongConfigError
from finetune.types import Method, TrainSettings

CONFIGS = Path(command.__file__).parent / "configs"
METHODS: dict[Method, ModuleType] = {"dpo": dpo, "listwise": listwise, "rwr": rwr}
PLACES = ["--snapshot=s", "--out=o"]


def _knobs(method: Method) -> set[str]:
    own = {name for name, value in defaults.fill(method, 1, TrainSettings()).model_dump().items() if value is not None}
    return own | ({"guard"} if method == "dpo" else set()) | {field.name for field in fields(METHODS[method].Config)}


@pytest.mark.parametrize("method", METHODS)
def test_the_file_of_a_method_explains_each_of_its_knobs_and_no_other(method: Method) -> None:
    text = (CONFIGS / f"{method}.yaml").read_text()
    named = set(re.findall(r"^(?:# )?([a-z_]+):", text, re.MULTILINE))
    assert named - {"samples"} == _knobs(method)
    lines = [line for line in text.splitlines() if re.match(r"(# )?[a-z_]+: ", line)]
    unexplained = [line for line in lines if line.count("#") < 1 + line.startswith("#")]
    assert [line.split(":")[0] for line in unexplained] in ([], ["# height", "# seed"])


@pytest.mark.parametrize("method", METHODS)
def test_the_defaults_that_a_file_tells_of_are_the_defaults(method: Method) -> None:
    text = (CONFIGS / f"{method}.yaml").read_text()
    told = dict(re.findall(r"^(?:# )?([a-z_]+): +(\S+)", text, re.MULTILINE))
    second = dict(re.findall(r"^# ([a-z_]+): .*# \S+ \| ([\d.e-]*\d)", text, re.MULTILINE))
    large = defaults.fill(method, defaults.SMALL, TrainSettings())
    small = defaults.fill(method, defaults.SMALL - 1, TrainSettings())
    for name, value in large.model_dump().items():
        if value is not None and name != "guard":
            assert yaml.safe_load(told[name]) == value, name
            assert float(second.get(name, value)) == float(getattr(small, name)), name
    own = {field.name: field.default for field in fields(METHODS[method].Config)}
    given = yaml.safe_load(text)
    assert all(own[name] == value for name, value in given.items() if name != "base")


@pytest.mark.parametrize("method", METHODS)
def test_an_option_overrules_the_file_and_the_file_the_default(method: Method, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text((CONFIGS / f"{method}.yaml").read_text() + "\nlearning_rate: 0.5\nsteps: 7\n")
    config, settings, samples = command.parse(
        METHODS[method].Config,
        [str(file), *PLACES, "--learning_rate=1e-4", "--flip=true", "--samples", "a cat", "a dog"],
    )
    assert (settings.learning_rate, settings.steps, settings.batch) == (1e-4, 7, None)
    assert (config.flip, config.out, samples) == (True, "o", ["a cat", "a dog"])


def test_a_bad_option_is_refused_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(WrongConfigError, match=r"^learning_rate: .*less than or equal to 1 \(got 7\.0\)$"):
        command.parse(dpo.Config, ["--base=b", *PLACES, "--learning_rate=7"])
    with pytest.raises(WrongConfigError, match=r"cannot be read: .*no_such"):
        command.parse(dpo.Config, [str(tmp_path / "no_such.yaml"), *PLACES])
    typo = tmp_path / "typo.yaml"
    typo.write_text("learning_rat: 1e-4")
    with pytest.raises(WrongConfigError, match="learning_rat"):
        command.parse(dpo.Config, [str(typo), "--base=b", *PLACES])
    with pytest.raises(SystemExit) as ended:
        command.main(dpo.Config, dpo.train, [f"--base={tmp_path}", *PLACES])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_trains_paints_and_tells(
    bases: Path, ranked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"--base={bases / 'v'}", f"--snapshot={ranked}", f"--out={tmp_path}", "--samples", "a cat", "a dog"]
    command.main(
        dpo.Config, dpo.train, [str(CONFIGS / "dpo.yaml"), *options, "--steps=2", "--batch=2", "--lora_rank=2"]
    )
    said = capsys.readouterr()
    assert [json.loads(line)["step"] for line in said.out.splitlines()] == [1, 2]
    assert said.err.endswith("pytorch_lora_weights.safetensors: 2 steps\n")
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        "step-000002-0.png",
        "step-000002-1.png",
    ]


def test_defaults_fit_the_size_of_the_base(bases: Path, tmp_path: Path) -> None:
    assert defaults.is_small(defaults.weights_of(bases / "flux"))
    sdxl, sd15 = 2_600_000_000, 860_000_000
    assert defaults.fill("dpo", sd15, TrainSettings()).beta == losses.effective_beta(5_000)
    assert defaults.fill("dpo", sd15, TrainSettings()).gradient_checkpointing is False
    assert defaults.fill("dpo", sdxl, TrainSettings()).gradient_checkpointing is True
    assert defaults.fill("dpo", sdxl, TrainSettings(gradient_checkpointing=False)).gradient_checkpointing is False
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "weights.safetensors").write_bytes(b"no header")
    with pytest.raises(WrongBaseError, match=r"unet/weights\.safetensors of the base is no whole safetensors file"):
        defaults.weights_of(tmp_path)
