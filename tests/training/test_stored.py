"""Input files of a training whose content is not what their name says."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mlrpl.data.index import Index
from mlrpl.errors import UserError
from mlrpl.runtime import hdf5
from mlrpl.runtime.hdf5 import CHECKSUMS, checksums
from mlrpl.text.clip_text import ClipText
from mlrpl.training import checkpoints, stored
from mlrpl.training.checkpoints import Checkpoint
from mlrpl.training.feature_cache import FeatureCache
from mlrpl.training.stored import read_context, read_known, read_vectors
from support import tiny
from support.trainings import run


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"))


def one_line(function, *arguments) -> str:
    with pytest.raises(UserError) as error:
        function(*arguments)
    message = str(error.value)
    assert "\n" not in message and "; " in message
    return message


def index_of(files) -> Index:
    return Index.load(files.train_index)


@pytest.mark.parametrize("kind", ["int16", ">i4", "int64"])
def test_masks_of_other_whole_numbers_are_the_same_masks(files, tmp_path, kind):
    known = np.load(files.known)
    np.save(tmp_path / "k.npy", known.astype(kind))
    found = read_known(str(tmp_path / "k.npy"), index_of(files))
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, known)


def test_matrices_that_stay_in_their_files_train_to_the_same_bits(
    files, tmp_path, monkeypatch
):
    made = {}
    for name, size in (("read", 2**26), ("mapped", 1)):
        monkeypatch.setattr(stored, "MAPPED", size)
        monkeypatch.setattr(hdf5, "MAPPED", size)
        known = read_known(files.known, index_of(files))
        assert isinstance(known, np.memmap) == (name == "mapped")
        run(files, tmp_path / name, validation=0.25)
        made[name] = [
            (tmp_path / name / file).read_bytes()
            for file in ("weights.safetensors", "scores.h5", "history.csv")
        ]
    assert made["read"] == made["mapped"]
    monkeypatch.setattr(stored, "MAPPED", 1)
    (tmp_path / "cut.npy").write_bytes(Path(files.known).read_bytes()[:-3])
    said = one_line(read_known, str(tmp_path / "cut.npy"), index_of(files))
    assert "cut.npy" in said and "mlrpl drop" in said


def changed(files, row, column, value):
    known = np.load(files.known)
    known[row, column] = value
    return known


MASKS = {
    "text": (lambda f: np.load(f.known).astype(str), "values of the type <U"),
    "numbers with a point": (lambda f: np.load(f.known) * 1.0, "the type float64"),
    "truths": (lambda f: np.load(f.known) > 0, "values of the type bool"),
    "complex": (lambda f: np.load(f.known) * 1j, "the type complex"),
    "another value": (lambda f: changed(f, 3, 1, 2), "train/3.jpg and class traffic "),
    "one axis": (lambda f: np.load(f.known).ravel(), "but the index makes it 60x3"),
    "turned": (lambda f: np.load(f.known).T, "but the index makes it 60x3"),
    "turned labels": (lambda f: -np.load(f.known), ", and the index has "),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_that_are_none_are_named(files, tmp_path, name):
    make, expected = MASKS[name]
    path = str(tmp_path / "k.npy")
    np.save(path, make(files))
    said = one_line(read_known, path, index_of(files))
    assert said.startswith(f"{path}: ") and expected in said


def test_files_that_are_no_arrays_are_named(files, tmp_path):
    known, index = np.load(files.known), index_of(files)
    np.savez(tmp_path / "k.npz", known=known)
    said = one_line(read_known, str(tmp_path / "k.npz"), index)
    assert "is an archive of several arrays (npz); give the npy" in said
    np.save(tmp_path / "o.npy", np.array([{"a": 1}, None]), allow_pickle=True)
    assert "not a readable npy" in one_line(read_known, str(tmp_path / "o.npy"), index)
    for data in (b"", b"\x93NUMPY\x01\x00\x02\x00{\n", b"image,cat\n", b"PK\x03\x04"):
        (tmp_path / "b.npy").write_bytes(data)
        assert "not a readable npy" in one_line(
            read_known, str(tmp_path / "b.npy"), index
        )
    assert "Is a directory" in one_line(read_known, str(tmp_path), index)


def test_vectors_are_finite_numbers(files, tmp_path):
    path, vectors = str(tmp_path / "v.npy"), np.load(files.glove)
    np.save(path, vectors.astype(">f8"))
    found = read_vectors(path, 3)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, vectors.astype(np.float64))
    for value in (np.nan, np.inf):
        vectors[1, 2] = value
        np.save(path, vectors)
        assert "the vector of class 1 has a value that is no" in one_line(
            read_vectors, path, 3
        )
    np.save(path, np.ones((3, 5), np.int64))
    assert "values of the type int64" in one_line(read_vectors, path, 3)


@pytest.mark.parametrize(
    "content",
    [
        *("null", "[]", "3", "{", '{"encoder": "tiny"}', "[" * 5000),
        *('{"encoder": "tiny", "text": "a", "tokens": ["1"]}',),
        *('{"encoder": "tiny", "text": "a", "tokens": [-1]}',),
        *('{"encoder": "tiny", "text": "a", "tokens": [1.5]}',),
        *('{"encoder": "tiny", "text": "a", "tokens": 5}',),
        '{"encoder": "tiny", "text": "b", "tokens": [1]}',
    ],
)
def test_contexts_that_are_none_are_named(files, tmp_path, content):
    path = tmp_path / "c.json"
    path.write_text(content)
    said = one_line(read_context, "a", str(path), ClipText(files.clip))
    assert said.startswith(f"{path}: ")


CLIPS = {
    "classes that are no list": {"classes": "3"},
    "classes that are no JSON": {"classes": "cat"},
    "classes that are numbers": {"classes": "[1, 2, 3]"},
    "heads that are no number": {"heads": "two"},
    "fewer names than tokens": {"classes": '["cat"]'},
}


@pytest.mark.parametrize("name", CLIPS)
def test_a_text_side_with_other_facts_is_named(files, tmp_path, name):
    with safe_open(files.clip, "pt") as file:
        facts = file.metadata() | CLIPS[name]
    path = tmp_path / "c.safetensors"
    save_file(tiny.clip_tensors(), path, facts)
    assert one_line(ClipText, path).startswith(f"{path}: ")


def test_a_text_side_without_a_tensor_is_named(files, tmp_path):
    with safe_open(files.clip, "pt") as file:
        facts = file.metadata()
    tensors = tiny.clip_tensors()
    del tensors["positional_embedding"]
    save_file(tensors, tmp_path / "c.safetensors", facts)
    clip = ClipText(tmp_path / "c.safetensors")
    said = one_line(clip.tensor, "positional_embedding")
    assert "has no whole tensor positional_embedding" in said


def with_checksums(files, folder):
    """Copies of the training features with what the encoder writes beside them."""
    paths = []
    for number, path in enumerate(files.train_features):
        copy = shutil.copy(path, folder / f"{number}.h5")
        paths.append(copy)
        with h5py.File(copy, "a") as file:
            for name in ("map", "max", "global"):
                views = range(file[name].shape[1])
                sums = [checksums(file[name][:, view]) for view in views]
                file[name + CHECKSUMS] = np.stack(sums, axis=1)
    return paths


@pytest.mark.parametrize("kind", ["map", "max", "global"])
def test_a_bit_that_changed_in_the_features_is_found(files, tmp_path, kind):
    paths = with_checksums(files, tmp_path)
    cache, rows = FeatureCache(paths), np.array([45, 2, 37])
    before, some = cache.read(kind), cache.take(kind, rows)
    np.testing.assert_array_equal(before, FeatureCache(files.train_features).read(kind))
    with h5py.File(paths[1], "a") as file:
        part = file[kind][7]
        part.view(np.uint8).flat[5] ^= 1
        file[kind][7] = part
    cache = FeatureCache(paths)
    expected = f"the {kind} features of the split's image 37 are not those that were"
    for read in (
        lambda: cache.read(kind),
        lambda: cache.take(kind, rows),
        lambda: list(cache.pieces(kind, rows=10)),
    ):
        said = one_line(read)
        assert said.startswith(f"{paths[1]}: ") and expected in said
    np.testing.assert_array_equal(cache.take(kind, rows[:2]), some[:2])


ATTRIBUTES = {
    "grid": [3, [3], "3x3", [[3, 3]]],
    "mean": ["clip", [0.5] * 4],
    "views": ["full", "3", '["full", "full"]', 5],
    "images_total": [[60], "60", -60, np.nan],
    "start": [25, "0", -1],
    "dataset": [5, ["tiny"]],
    "weights_sha256": [0.0],
}


@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, values in ATTRIBUTES.items() for v in values]
)
def test_features_with_other_attributes_are_named(files, tmp_path, name, value):
    path = shutil.copy(files.train_features[0], tmp_path / "0.h5")
    with h5py.File(path, "a") as file:
        file.attrs[name] = value
    said = one_line(FeatureCache, [path, files.train_features[1]])
    assert str(path) in said and "delete" not in said


def test_features_that_are_no_numbers_are_not_the_learning_rates_fault(
    files, tmp_path, capsys
):
    path = shutil.copy(files.train_features[1], tmp_path / "1.h5")
    with h5py.File(path, "a") as file:
        file["map"][4, 0, 1, 2] = np.nan
    changed = replace(files, train_features=[files.train_features[0], str(path)])
    assert run(changed, tmp_path / "run") == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "features: those of the split's image 34 are not finite" in said
    assert "lower lr" not in said


def test_memory_of_the_gpu_that_is_full_is_one_line(
    files, tmp_path, capsys, monkeypatch
):
    def full(*args, **options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr("mlrpl.training.run.load", full)
    assert run(files, tmp_path / "run") == 1
    said = capsys.readouterr().err
    assert said.startswith("mlrpl train: error: memory: that of the GPU is full; ")
    assert said.count("\n") == 1


def test_memory_of_the_host_that_is_full_is_one_line(
    files, tmp_path, capsys, monkeypatch
):
    def full(*args, **options):
        torch.empty(2**52)

    monkeypatch.setattr("mlrpl.training.run.load", full)
    assert run(files, tmp_path / "run") == 1
    assert capsys.readouterr().err.startswith("mlrpl train: error: memory: there is")


@pytest.mark.parametrize("library", [False, True])
def test_a_checkpoint_that_cannot_be_written_is_a_warning(
    files, tmp_path, capsys, monkeypatch, library
):
    def full(*args, **options):
        if library:
            raise RuntimeError("[enforce fail] PytorchStreamWriter failed writing file")
        raise OSError(28, "No space left on device")

    plain = Checkpoint.__init__
    monkeypatch.setattr(
        Checkpoint, "__init__", lambda *args: plain(*args[:3], interval=0)
    )
    monkeypatch.setattr(checkpoints.torch, "save", full)
    assert run(files, tmp_path / "run", epochs=3) == 0
    said = capsys.readouterr().err
    assert "warning: " in said and "checkpoint.pt: " in said
    assert "the training goes on" in said
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("weights.safetensors", "history.csv", "scores.h5", "run.json"),
    }
    assert json.loads((tmp_path / "run/run.json").read_text())["dataset"] == "tiny"
