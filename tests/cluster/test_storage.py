"""Results in a bucket: a local server of object storage in the place of Amazon's."""

import importlib.util
import os
import subprocess
import sys

import pytest

from support.workflow_tree import copy_tree

NEEDED = ("moto", "flask_cors", "boto3", "snakemake_storage_plugin_s3")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}"),
]
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
CONFIG = "examples/own_data/config.yaml"


@pytest.fixture
def bucket(monkeypatch):
    """An empty bucket, and the address of its server."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
        client.create_bucket(Bucket="lab")
        yield client, url
    finally:
        server.stop()


def run(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "tables", "--cores", "2"]
    done = subprocess.run(
        [*command, "--configfile", CONFIG, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stderr


def test_results_in_a_bucket_are_the_bytes_of_those_beside(
    repository, tmp_path, bucket
):
    """Own pictures and the encoder's files are read where they lie."""
    client, url = bucket
    folders = [copy_tree(repository, tmp_path / name) for name in ("far", "near")]
    for folder in folders:
        (folder / "examples").symlink_to(repository / "examples")
    far, near = folders
    storage = ["--default-storage-provider", "s3", "--default-storage-prefix"]
    storage += ["s3://lab", "--storage-s3-endpoint-url", url]
    storage += ["--storage-s3-access-key", "a", "--storage-s3-secret-key", "b"]
    said = run(far, *storage, "--storage-s3-region", "us-east-1")
    run(near)
    stored = {
        entry["Key"]: client.get_object(Bucket="lab", Key=entry["Key"])["Body"].read()
        for entry in client.list_objects_v2(Bucket="lab")["Contents"]
    }
    beside = {
        path.relative_to(near).as_posix(): path.read_bytes()
        for path in (near / "results").rglob("*")
        if path.is_file()
    }
    assert not (far / "results").exists(), said
    results = {key for key in stored if key.startswith("results/")}
    assert results == beside.keys()
    other = {key for key in results if stored[key] != beside[key]}
    assert {key.rpartition("/")[2] for key in other} == {"run.json"}  # its times
    # Nothing of the project's own or the user's is in the bucket.
    assert {key.partition("/")[0] for key in stored} == {"results", "logs"}
