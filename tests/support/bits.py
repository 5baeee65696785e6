"""The bits of weights and scores of the paper's methods, to compare two states of code.

    python tests/support/bits.py --output before.json              # the tiny set
    python tests/support/bits.py --output before.json --demo       # and the demo
    python tests/support/bits.py --output after.json --demo --expect before.json

The tiny set is `tiny.write_files`; the demo's settings are made by Snakemake under the
demo's profile, in this checkout's results. Both train on one thread a setting. With
`--expect` the exit status says whether all bits are those of the other file. Bits
compare between runs on one machine with one version of torch alone.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from safetensors.numpy import load_file

REPOSITORY = Path(__file__).resolve().parents[2]
METHODS = {
    "coop": {"visual": "global", "prompts": "shared"},
    "coop_csp": {"visual": "global", "prompts": "class_specific"},
    "coop_sd": {"visual": "semantic_decoupling", "prompts": "shared"},
    "sarl": {"visual": "semantic_decoupling", "prompts": "class_specific"},
    "sarl+visual=semantic_attention": {
        "visual": "semantic_attention",
        "prompts": "class_specific",
    },
    "sarl+loss=p_bce": {
        "visual": "semantic_decoupling",
        "prompts": "class_specific",
        "loss": "p_bce",
    },
}
OPTIMIZERS = ("sgd", "adamw")
DATASETS, PROPORTIONS = ("demo_coco", "demo_voc"), ("0.1", "0.5")
# What the demo's own configuration has, so that its name says nothing of it.
DEMO_OPTIMIZER = "adamw"


def digest(arrays: dict[str, np.ndarray]) -> str:
    """Return a hash of arrays: names, types, shapes, bytes."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def bits(folder: Path) -> dict[str, str]:
    """Return the hashes of a run's weights and scores.

    The parts of a method stand in one module or in another; their names within it are
    what is compared.
    """
    weights = load_file(folder / "weights.safetensors")
    named = {name.removeprefix("head."): array for name, array in weights.items()}
    with h5py.File(folder / "scores.h5") as file:
        scores = {name: file[name][()] for name in ("last", "best")}
    return {"weights": digest(named), "scores": digest(scores)}


def tiny_bits() -> dict[str, dict[str, str]]:
    """Train every method with every optimiser on the tiny set."""
    sys.path.insert(0, str(REPOSITORY / "tests"))
    sys.path.insert(0, str(REPOSITORY / "workflow"))
    from support import tiny
    from support.trainings import scoped

    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        files = tiny.write_files(Path(temporary))
        for method, chosen in METHODS.items():
            for optimizer in OPTIMIZERS:
                options = scoped(**chosen, optimizer=optimizer)
                folder = Path(temporary) / method / optimizer
                run(
                    *(sys.executable, "-m", "mlrpl", "train", "--dataset", "tiny"),
                    *("--method", method, "--prop", "0.5", "--seed", "0"),
                    *("--options", json.dumps(options), *files.arguments()),
                    *("--threads", "1", "--device", "cpu"),
                    *("--output-dir", str(folder)),
                )
                found[f"tiny {method} {optimizer}"] = bits(folder)
    return found


def demo_bits(cores: int) -> dict[str, dict[str, str]]:
    """Train every method with every optimiser on the demo at 10 % and 50 %."""
    folders = {}
    for method in METHODS:
        for optimizer in OPTIMIZERS:
            name, *overrides = method.split("+")
            if optimizer != DEMO_OPTIMIZER:
                overrides.append(f"optimizer={optimizer}")
            run_name = "+".join([name, *sorted(overrides)])
            for dataset in DATASETS:
                for prop in PROPORTIONS:
                    folders[f"{dataset} {method} {optimizer} {prop}"] = (
                        f"results/demo/runs/{dataset}/{run_name}/prop={prop}/seed=0"
                    )
    run(
        *(sys.executable, "-m", "snakemake", "--cores", str(cores), "--quiet", "all"),
        *("--workflow-profile", "profiles/demo"),
        *(f"{folder}/scores.h5" for folder in folders.values()),
    )
    return {name: bits(REPOSITORY / folder) for name, folder in folders.items()}


def run(*command: str) -> None:
    """Run a command in the checkout; its output is shown if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def main() -> None:
    """Write the bits; compare them with those of another file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="JSON")
    parser.add_argument("--expect", type=Path, help="JSON of an earlier call")
    parser.add_argument("--demo", action="store_true", help="the demo's settings too")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    args = parser.parse_args()
    found = tiny_bits()
    if args.demo:
        found |= demo_bits(args.cores)
    args.output.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{len(found)} trainings: {args.output}")
    if args.expect:
        expected = json.loads(args.expect.read_text())
        other = [name for name in found if found[name] != expected.get(name)]
        for name in other:
            print(f"other bits: {name}")
        print(f"{len(found) - len(other)} of {len(found)} have the same bits")
        sys.exit(bool(other))


if __name__ == "__main__":
    main()
