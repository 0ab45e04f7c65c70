"""Adapters that fine-tunes left in the image storage: fetched, compared with their hash, put on."""

from __future__ import annotations

from pathlib import Path

import pytest

from generation.engine import Engine
from generation.errors import ModelNotFoundError, WeightsChangedError
from generation.fetched import WEIGHTS_VARIABLE, fetch_weights, hash_of
from generation.storage import ADAPTER_FILE, Storage, StorageError, weights_hash
from generation.types import AdapterReference
from generation.verify import verify
from tests.generation.conftest import Ask, Render, adapter, id_of, reference


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's machine keeps what it fetched."""
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def trained(tiny_models: Path, storage: Storage) -> AdapterReference:
    """The tiny adapter as a fine-tune leaves it: one file in storage, registered with the hash of its folder."""
    key = storage.put_file(tiny_models / "tiny-lora" / ADAPTER_FILE)
    location = f"storage:{key}"
    return AdapterReference(id=id_of("run 1"), name="Run 1", location=location, sha256=hash_of(location))


def test_the_hash_of_a_stored_adapter_is_that_of_a_folder_which_holds_it(
    trained: AdapterReference, storage: Storage
) -> None:
    folder = fetch_weights(trained.location, storage)
    assert weights_hash(folder) == trained.sha256
    assert [path.name for path in folder.iterdir()] == [ADAPTER_FILE]


def test_an_adapter_of_the_storage_renders_as_the_same_adapter_of_a_folder_does(
    trained: AdapterReference, ask: Ask, render: Render, storage: Storage
) -> None:
    base = reference("tiny")
    from_folder = render(
        ask({"apple": [1]}, model=base.model_copy(update={"adapters": (adapter("tiny-lora"),)})), Engine(batch=1)
    )
    (image,) = render(
        ask({"apple": [1]}, model=base.model_copy(update={"adapters": (trained,)})), Engine(batch=1)
    ).values()
    assert image.key == from_folder["apple", 0].key
    assert image.manifest.adapters == (trained,)
    assert verify(image.manifest, storage.read(image.key), storage, Engine(batch=1)).bitwise


def test_a_spoilt_copy_is_fetched_again(trained: AdapterReference, storage: Storage) -> None:
    path = fetch_weights(trained.location, storage) / ADAPTER_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert fetch_weights(trained.location, storage) == path.parent
    assert path.read_bytes() == whole


def test_what_is_missing_or_spoilt_in_storage_is_refused_and_leaves_nothing_behind(
    trained: AdapterReference, ask: Ask, render: Render, storage: Storage, weights: Path
) -> None:
    key = trained.location.removeprefix("storage:")
    request = ask({"apple": [1]}, model=reference("tiny").model_copy(update={"adapters": (trained,)}))
    stored = Path(storage.url.removeprefix("file://")) / key
    stored.write_bytes(b"spoilt")
    with pytest.raises(ModelNotFoundError, match="other bytes than its name says"):
        render(request, Engine())
    stored.unlink()
    with pytest.raises(ModelNotFoundError, match="is missing from"):
        render(request, Engine())
    assert not [path for path in weights.rglob("*") if path.is_file()]


def test_an_adapter_that_was_registered_with_other_weights_is_refused(
    trained: AdapterReference, ask: Ask, render: Render
) -> None:
    other = trained.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(WeightsChangedError, match="Run 1"):
        render(ask({"apple": [1]}, model=reference("tiny").model_copy(update={"adapters": (other,)})), Engine())


def test_what_is_fetched_can_be_read_by_others(trained: AdapterReference, storage: Storage) -> None:
    path = fetch_weights(trained.location, storage) / ADAPTER_FILE
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("key", [f"00/{'0' * 64}.safetensors", "no key"])
def test_what_cannot_be_fetched_leaves_nothing_open_and_nothing_behind(
    key: str, storage: Storage, tmp_path: Path
) -> None:
    opened = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(StorageError):
            storage.fetch(key, tmp_path / "fetched" / "file")
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    assert list((tmp_path / "fetched").iterdir()) == []
