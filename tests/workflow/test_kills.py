"""From addresses to a trained setting: undisturbed, and killed at random moments.

The archives have real photographs in COCO's and VOC's layouts; a local server has them.
MLRPL_KILLS sets the number of kills, 2 by default.
"""

import contextlib
import hashlib
import http.server
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile

import h5py
import numpy as np
import pytest
import yaml

from mlrpl.data.index import Index
from mlrpl.data.voc import VOC_CLASSES
from mlrpl.training.feature_cache import FeatureCache
from support.workflow_tree import copy_tree, snakemake

pytestmark = pytest.mark.workflow

KILLS = int(os.environ.get("MLRPL_KILLS", "2"))
RUN = "sarl/prop=0.5/seed=0"
FILES = {
    "coco2014": ["train2014.zip", "val2014.zip", "annotations_trainval2014.zip"],
    "voc2007": ["VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"],
}


class Handler(http.server.BaseHTTPRequestHandler):
    """The served files, slowly, and from the byte that is asked for."""

    def do_GET(self):
        data = self.server.files[self.path]
        span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(span[1]) if span else 0
        self.server.starts.append(start)
        self.send_response(206 if start else 200)
        if start:
            last = len(data) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        with contextlib.suppress(OSError):  # the other side was killed
            for at in range(start, len(data), 1 << 18):
                self.wfile.write(data[at : at + (1 << 18)])
                time.sleep(0.05)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server(photos):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        running.starts = []
        running.files = {
            f"/{name}/{file}": (photos / folder / file).read_bytes()
            for (name, files), folder in zip(
                FILES.items(), ("coco-mini", "voc-mini"), strict=True
            )
            for file in files
        }
        running.files["/glove/vectors.txt"] = b""
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def words(photos):
    """All words of the class names of COCO and of the config's VOC."""
    archive = zipfile.ZipFile(photos / "coco-mini/annotations_trainval2014.zip")
    text = archive.read("annotations/instances_train2014.json").decode()
    names = re.findall(r'"name": ?"([^"]+)"', text)
    return sorted({w for n in (*names, *VOC_CLASSES) for w in n.lower().split()})


@pytest.fixture(scope="module")
def tree(repository, photos, server, tmp_path_factory):
    """Return a function that makes a new tree whose config names the server."""
    rng = np.random.default_rng(0)
    extra = ["dining", "table", "plant", "pot", "potted", "tv", "monitor"]
    server.files["/glove/vectors.txt"] = "".join(
        f"{word} {' '.join(f'{x:.3f}' for x in rng.normal(size=8))}\n"
        for word in sorted({*words(photos), *extra})
    ).encode()

    def source(path):
        data = server.files[path]
        return {
            "url": [f"http://127.0.0.1:{server.server_port}{path}"],
            "sha256": hashlib.sha256(data).hexdigest(),
            "md5": hashlib.md5(data).hexdigest(),  # over that of the real archive
            "size": len(data),
        }

    over = {
        "device": "cpu",
        "threads": {"features": 1, "train": 1},
        "datasets": {
            name: {
                "files": {file: source(f"/{name}/{file}") for file in files},
                "allow_empty_classes": True,
                "splits": {"train": {"shards": 2}, "test": {"shards": 1}},
            }
            for name, files in FILES.items()
        },
        "glove": {
            "file": "vectors.txt",
            "member": None,
            **source("/glove/vectors.txt"),
        },
        "encoder": {
            "model": "workflow/mlrpl/demo/weights/demo-rn.json",
            "pretrained": "workflow/mlrpl/demo/weights/demo-rn.safetensors",
        },
        "options": {"joint_dim": 16, "epochs": 2, "n_ctx": 4, "lr": 0.01},
    }

    def make(name):
        folder = copy_tree(repository, tmp_path_factory.mktemp(name) / "tree")
        (folder / "own.yaml").write_text(yaml.safe_dump(over))
        return folder

    return make


def targets():
    features = [
        f"results/features/{name}/{split}/{shard}.h5"
        for name in FILES
        for split, shards in (("train", 2), ("test", 1))
        for shard in range(shards)
    ]
    return [*features, *(f"results/runs/{name}/{RUN}/metrics.json" for name in FILES)]


def arguments():
    return [*targets(), "--cores", "2", "--configfile", "own.yaml"]


@pytest.fixture(scope="module")
def undisturbed(tree):
    folder = tree("undisturbed")
    done = snakemake(folder, *arguments())
    assert done.returncode == 0, done.stdout[-4000:]
    return folder


def test_from_addresses_to_a_trained_setting(undisturbed, server):
    for name, files in FILES.items():
        for file in files:
            path = undisturbed / "data" / name / file
            assert path.read_bytes() == server.files[f"/{name}/{file}"]
    shapes = {
        (name, split): Index.load(
            undisturbed / f"results/data/{name}/{split}.h5"
        ).labels.shape
        for name in FILES
        for split in ("train", "test")
    }
    # Images without any label are left out of COCO's.
    assert shapes["voc2007", "train"] == (60, 20)
    assert shapes["voc2007", "test"] == (40, 20)
    assert 100 < shapes["coco2014", "train"][0] <= 120
    for (name, split), (images, classes) in shapes.items():
        folder = undisturbed / f"results/features/{name}/{split}"
        maps = FeatureCache(sorted(folder.glob("*.h5"))).read_maps()
        assert maps.shape == (images, 49, 512)
        if split == "test":
            scores = undisturbed / f"results/runs/{name}/{RUN}/scores.h5"
            with h5py.File(scores) as file:
                assert file["last"].shape == (images, classes)


def kill_group(process):
    """Kill -9 Snakemake and every job that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_killed_at_random_moments_the_results_are_the_same_bytes(undisturbed, tree):
    """Kills until the given number is reached, each at a later or earlier moment."""
    rng = random.Random(0)
    killed = 0
    while killed < KILLS:
        folder = tree(f"killed{killed}")
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        command = [sys.executable, "-m", "snakemake", *arguments()]
        while killed < KILLS:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                process.wait(timeout=rng.uniform(3, 25))
            except subprocess.TimeoutExpired:
                kill_group(process)
                killed += 1
                # The lock of a Snakemake that was killed is the user's to lift.
                unlocked = snakemake(folder, "--unlock", "--configfile", "own.yaml")
                assert unlocked.returncode == 0, unlocked.stdout
                continue
            assert process.returncode == 0
            break  # it came to its end before the kill: begin again elsewhere
        done = snakemake(folder, *arguments())
        assert done.returncode == 0, done.stdout[-4000:]
        made = [p for n in FILES for p in (folder / "results/data" / n).glob("*.h5")]
        assert len(made) == 4
        made += [folder / t for t in targets() if "features" in t]
        made += [folder / f"results/runs/{n}/{RUN}/scores.h5" for n in FILES]
        made += [folder / f"data/{n}/{f}" for n in FILES for f in FILES[n]]
        for path in made:
            other = undisturbed / path.relative_to(folder)
            assert path.read_bytes() == other.read_bytes(), path
        # The next start removes what the killed processes left half-written.
        left = [p for p in folder.rglob("*") if p.suffix in (".tmp", ".part")]
        assert not left
