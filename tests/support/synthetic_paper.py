"""All runs of a configuration's tables and figures, with numbers like the paper's.

No training: what is read of a run, written as a training writes it.
"""

import json
import math
import random
from pathlib import Path
from typing import Any

from mlrpl.config import plan
from mlrpl.evaluation.metrics import METRICS

# mAP at 10 % known labels, and what the rest of them brings.
LEVEL = {"ssgrl": (62, 15), "gcn_ml": (63, 14), "coop": (71, 6), "sarl": (78, 5)}
CLASSES = {
    "coco2014": ["person", "bicycle", "hair drier", "dining table", "toaster"] * 16,
    "voc2007": ["aeroplane", "potted plant", "tv monitor", "cat", "person"] * 4,
}
EPOCHS = 20


def write_results(config: dict[str, Any], runs: list[str], root: Path) -> list[Path]:
    """Write metrics.json, run.json and history.csv of runs; return the first ones."""
    return [_write(config, run, root) for run in runs]


def _write(config: dict[str, Any], run: str, root: Path) -> Path:
    dataset, method, prop, seed = run.split("/")
    share, number = float(prop.removeprefix("prop=")), int(seed.removeprefix("seed="))
    draw = random.Random(run)
    start, rise = LEVEL.get(method.partition("+")[0], (74, 7))
    last = start + rise * math.sqrt(share) + draw.gauss(0, 0.3) - 0.8 * ("+" in method)
    last += 10 * (dataset == "voc2007")
    setting = {"dataset": dataset, "method": method, "prop": share, "seed": number}
    folder = root / "runs" / run
    folder.mkdir(parents=True)
    names = [
        f"{name} {i}" if i > 4 else name
        for i, name in enumerate(CLASSES.get(dataset, ["a", "b"]))
    ]
    content: dict[str, Any] = {**setting, "per_class_ap": {}}
    for epoch, at, value in (("last", EPOCHS, last), ("best", EPOCHS - 3, last + 0.2)):
        content[epoch] = dict.fromkeys(METRICS, value - 5)
        content[epoch] |= {"epoch": at, "mAP": value}
        content["per_class_ap"][epoch] = {
            name: min(99.0, value + draw.gauss(0, 10)) for name in names
        }
    path = folder / "metrics.json"
    path.write_text(json.dumps(content))
    (folder / "run.json").write_text(
        json.dumps(
            {
                **setting,
                "options": {"epochs": EPOCHS},
                "parameters": {"visual": 4_000_000, "total": 4_635_137},
                "device": "cpu",
                "precision": "fp32",
                "threads": 1,
                "seconds": {"load": 1.5, "train": 100 + draw.random()},
                "versions": {"python": "3.11", "torch": "2.14", "numpy": "2.4"},
            }
        )
    )
    lines = ["epoch,lr,loss,mAP,validation_mAP"]
    for epoch in range(1, EPOCHS + 1):
        reached = last - 20 * math.exp(-epoch / 4)
        known = reached if epoch % 5 == 0 else ""
        lines.append(f"{epoch},0.002,{math.exp(-epoch / 6):.5f},{known},")
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    return path


def named_runs(config: dict[str, Any]) -> list[str]:
    """Return all runs that the configuration's tables and figures name, each once."""
    found = (
        run
        for name in config["experiments"]
        for run in plan.runs(config, **plan.experiment(config, name))
    )
    return list(dict.fromkeys(found))
