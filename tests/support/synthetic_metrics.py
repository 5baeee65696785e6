"""Write metrics.json and run.json files with given numbers, as real runs have them."""

import json
from pathlib import Path

from mlrpl.evaluation.metrics import METRICS


def write_run(
    root: Path,
    method: str,
    prop: float,
    seed: int,
    last: dict[str, float] | float,
    best: dict[str, float] | float | None = None,
    dataset: str = "coco2014",
    parameters: int = 4_635_137,
) -> Path:
    """Write one setting; a plain number is its mAP. Every other metric is 1."""
    folder = root / "runs" / dataset / method / f"prop={prop}" / f"seed={seed}"
    folder.mkdir(parents=True)
    best = last if best is None else best
    blocks = {
        name: {
            "epoch": number,
            **dict.fromkeys(METRICS, 1.0),
            **(values if isinstance(values, dict) else {"mAP": values}),
        }
        for name, number, values in (("last", 20, last), ("best", 13, best))
    }
    setting = {"dataset": dataset, "method": method, "prop": prop, "seed": seed}
    per_class = {"zebra": 80.5, "apple": None}
    path = folder / "metrics.json"
    path.write_text(
        json.dumps(
            {**setting, **blocks, "per_class_ap": dict.fromkeys(blocks, per_class)}
        )
    )
    run = {
        "parameters": {"visual": parameters - 10, "total": parameters},
        "seconds": {"load": 1.0, "train": 61.4},
    }
    (folder / "run.json").write_text(json.dumps(run))
    return path
