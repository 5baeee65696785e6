"""`mlrpl predict` against the runs' own test scores."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from mlrpl.__main__ import main
from support.small_results import CLASSES, METHODS, SPLITS

pytestmark = pytest.mark.usefixtures("one_thread")


def predict(capsys, *words) -> tuple[int, str, str]:
    """Run the command; return its status, output and last line on stderr."""
    capsys.readouterr()
    status = main(["predict", *map(str, words), "--threads", "1", "--device", "cpu"])
    said = capsys.readouterr()
    return status, said.out, said.err


def table(text: str) -> dict[tuple[str, str], dict[str, str]]:
    rows = csv.DictReader(io.StringIO(text))
    return {(row["picture"], row["class"]): row for row in rows}


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_those_that_the_run_has_of_its_test_pictures(small, capsys, method):
    run = small.train(method)
    pictures = small.pictures("test")
    status, out, _ = predict(capsys, run, *pictures, "--format", "csv")
    assert status == 0
    rows = table(out)
    wanted = small.probabilities(method)
    found = [[float(rows[p, c]["probability"]) for c in CLASSES] for p in pictures]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    assert np.ptp(wanted, axis=0).min() > 1e-3, "the pictures do not differ"


@pytest.mark.parametrize(
    "method", ["sarl", "ssgrl", "gcn_ml", "linear_probe", "dualcoop"]
)
def test_an_exported_file_scores_like_its_run(small, capsys, tmp_path, method):
    """Without the results, elsewhere, with the encoder found by its path."""
    run = small.train(method)
    pictures = small.pictures("test")[:3]
    file = tmp_path / "exported.safetensors"
    assert main(["export", str(run), "--output", str(file)]) == 0
    again = tmp_path / "again.safetensors"
    assert main(["export", str(file), "--output", str(again)]) == 0
    _, by_run, _ = predict(capsys, run, *pictures, "--format", "csv")
    for path in (file, again):
        status, by_file, _ = predict(capsys, path, *pictures, "--format", "csv")
        assert status == 0
        assert by_file == by_run


def test_the_encoder_is_given_and_compared(small, capsys, tmp_path):
    file = tmp_path / "exported.safetensors"
    main(["export", str(small.train("sarl")), "--output", str(file)])
    data = file.read_bytes()
    name = b"tiny.safetensors"
    file.write_bytes(data.replace(name, b"gone.safetensors"))
    picture = small.picture("test", 0)
    status, _, err = predict(capsys, file, picture)
    assert status == 1
    assert "gone.safetensors: the encoder's checkpoint is not there" in err
    encoder = ("--encoder", small.folder / "tiny.safetensors")
    assert predict(capsys, file, picture, *encoder)[0] == 0
    other = tmp_path / "other.safetensors"
    tensors = load_file(small.folder / "tiny.safetensors")
    tensors["visual.layer4.0.conv1.weight"] += 0.01
    save_file(tensors, other)
    status, _, err = predict(capsys, file, picture, "--encoder", other)
    assert status == 1 and "is another encoder than" in err


def test_classes_are_present_from_their_own_thresholds_on(small, capsys, tmp_path):
    run = small.train("sarl")
    picture = str(small.picture("test", 0))
    p = small.probabilities("sarl")[0]
    thresholds = {"cat": float(p[0]) - 0.01, "dog": min(float(p[2]) + 0.01, 1)}
    path = run / "thresholds.json"
    path.write_text(json.dumps(thresholds))
    file = tmp_path / "exported.safetensors"
    try:
        main(["export", str(run), "--output", str(file)])
        status, out, _ = predict(capsys, run, picture, "--format", "json")
        path.write_text('{"cow": 0.5}')
        assert "cow is not a class" in predict(capsys, run, picture)[2]
        path.write_text('{"cat": 50}')
        assert "cat: 50 is not a probability" in predict(capsys, run, picture)[2]
    finally:
        path.unlink()
    assert status == 0
    [entry] = json.loads(out)
    found = {c["class"]: c for c in entry["classes"]}
    assert found["cat"]["present"] and not found["dog"]["present"]
    assert found["traffic light"]["threshold"] == 0.5
    assert json.loads(predict(capsys, file, picture, "--format", "json")[1]) == [entry]


def test_formats_rank_the_classes_and_say_how_many(small, capsys):
    run = small.train("sarl")
    pictures = small.pictures("test")[:2]
    p = small.probabilities("sarl")[:2]
    best = [CLASSES[c] for c in p.argmax(axis=1)]
    _, out, _ = predict(capsys, run, *pictures, "--top", "1", "--format", "csv")
    assert list(table(out)) == list(zip(pictures, best, strict=True))
    _, out, _ = predict(capsys, run, *pictures, "--top", "1", "--format", "json")
    assert [e["classes"][0]["class"] for e in json.loads(out)] == best
    _, out, _ = predict(capsys, run, *pictures, "--top", "2")
    lines = out.splitlines()
    assert [lines[0], lines[3]] == pictures and len(lines) == 6
    for number, row in enumerate(p):
        mark = "*" if row.max() >= 0.5 else " "
        assert lines[3 * number + 1].startswith(f"  {mark} {best[number]}")
        assert lines[3 * number + 1].endswith(f"{row.max():.3f}")


def test_a_bad_picture_is_named_and_the_others_are_scored(
    small, capsys, tmp_path, monkeypatch
):
    """Out of a folder, a list and standard input; in batches of two."""
    run = small.train("coop")
    folder = tmp_path / "own"
    (folder / "below").mkdir(parents=True)
    shutil.copy(small.picture("test", 0), folder / "b.png")
    shutil.copy(small.picture("test", 1), folder / "below/a.PNG")
    whole = small.picture("test", 2).read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("left alone")
    (tmp_path / "list.txt").write_text(f"{small.picture('test', 3)}\n\nmissing.jpg\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{small.picture('test', 4)}\n"))
    out = tmp_path / "out.csv"
    status, said, err = predict(
        *(capsys, run, folder, "-", "--list", tmp_path / "list.txt"),
        *("--format", "csv", "--batch-size", "2", "--output", out),
    )
    assert status == 1 and said == ""
    for name, fault in (
        ("cut.png", "cannot be read"),
        ("text.jpg", "cannot be read (not an image format)"),
        ("missing.jpg", "is not there"),
    ):
        [line] = [
            line
            for line in err.splitlines()
            if line.startswith("skipped: ") and name in line
        ]
        assert fault in line
    assert "3 of 7 pictures have no scores" in err.splitlines()[-1]
    rows = table(out.read_text())
    scored = list(dict.fromkeys(picture for picture, _ in rows))
    wanted = [folder / "b.png", folder / "below/a.PNG"]
    wanted += [small.picture("test", 4), small.picture("test", 3)]
    assert scored == list(map(str, wanted))
    p = small.probabilities("coop")[[0, 1, 4, 3]]
    found = [[float(rows[s, c]["probability"]) for c in CLASSES] for s in scored]
    np.testing.assert_allclose(found, p, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ((), "PICTURE: none is given"),
        (("{empty}",), "no picture is there"),
        (("x.jpg", "--top", "0"), "--top: 0 is not allowed"),
        (("--list", "{empty}/none.txt"), "none.txt: cannot be read"),
    ],
)
def test_mistakes_are_one_line(small, capsys, tmp_path, words, match):
    words = [word.format(empty=tmp_path) for word in words]
    status, _, err = predict(capsys, small.train("coop"), *words)
    assert status == 1 and match in err.splitlines()[-1] and "Traceback" not in err


def test_what_is_no_run_is_one_line(small, capsys, tmp_path):
    picture = small.picture("test", 0)
    run = small.train("sarl")
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    damaged = small.run("damaged")
    shutil.copytree(run, damaged)
    (damaged / "weights.safetensors").write_bytes(b"no weights")
    other = small.run("other")
    shutil.copytree(run, other)
    record = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps(record | {"weights_sha256": "0" * 64}))
    for given, match in (
        (tmp_path / "nothing", "is not there"),
        (tmp_path, "has no run.json"),
        (moved, "does not lie in results/runs"),
        (damaged, "is not a whole safetensors file"),
        (other, "of another encoder than the run"),
        (small.results / "clip/small.safetensors", "is not a file that `mlrpl export`"),
        (picture, "is not a file that `mlrpl export`"),
    ):
        status, _, err = predict(capsys, given, picture)
        assert status == 1 and match in err, err
        assert "Traceback" not in err
    for folder in (damaged, other):
        shutil.rmtree(folder)


def test_several_processes_score_as_one_does(small, capsys):
    pictures = small.pictures("test") + small.pictures("train")
    assert len(pictures) == sum(SPLITS.values())
    words = [str(small.train("sarl")), *pictures, "--format", "csv"]
    capsys.readouterr()
    more = ["--threads", "2", "--batch-size", "8", "--device", "cpu"]
    assert main(["predict", *words, *more]) == 0
    assert capsys.readouterr().out == predict(capsys, *words)[1]
