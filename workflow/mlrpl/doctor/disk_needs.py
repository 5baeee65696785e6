"""What the configured experiments will write, by folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlrpl.config import plan
from mlrpl.doctor import sources
from mlrpl.doctor.work import Sizes, Work, kind_of, missing_share


@dataclass(frozen=True)
class DiskNeed:
    """Bytes still to be written below one folder.

    Attributes:
        what: `downloads`, `weights`, `features`, `labels` or `runs`.
        folder: where.
        bytes: as far as they are known.
        unknown: what could not be counted.
    """

    what: str
    folder: str
    bytes: int
    unknown: Sequence[str] = ()


def disk_needs(
    config: Mapping[str, Any],
    work: Work,
    found: Sizes,
    files: Sequence[sources.Source],
) -> list[DiskNeed]:
    """Count what the experiments will write; what is there already is left out."""
    results = config["results"]
    downloads = [f for f in files if f.owner != "encoder"]
    weights = [f for f in files if f.owner == "encoder"]
    needs = [
        DiskNeed(what, folder, sum(f.to_fetch or 0 for f in some), unknown)
        for what, folder, some in (
            ("downloads", config["data_dir"], downloads),
            ("weights", f"{config['data_dir']}/clip", weights),
        )
        if (unknown := [f.path for f in some if f.to_fetch is None])
        or any(f.to_fetch for f in some)
    ]
    features, labels, runs = 0, 0, 0
    no_features, no_runs = [], []
    for name, folder in work.feature_files(config):
        for split, counted in found.splits[name].items():
            if missing := missing_share(config, name, split, folder):
                if counted.images is None or found.feature is None:
                    no_features.append(f"{name} {split}")
                else:
                    size = found.feature.token_bytes if folder else found.feature.bytes
                    views = len(plan.views_of(config, split))
                    features += round(missing * counted.images * views * size)
    texts = set()
    for name in work.datasets:
        train, test = found.splits[name]["train"], found.splits[name]["test"]
        masks = {
            run.split("/", 2)[2] for run in work.runs if run.startswith(f"{name}/")
        }
        known = Path(results) / "data" / name / "known"
        masks = {mask for mask in masks if not (known / f"{mask}.npy").is_file()}
        labels += len(masks) * (train.images or 0) * (train.classes or 0)
        text = Path(results) / f"clip/{plan.images_of(config, name)}.safetensors"
        if found.text and text not in texts and not text.is_file():
            texts.add(text)
            labels += found.text.bytes
        for run in work.to_do:
            if not run.startswith(f"{name}/"):
                continue
            if None in (found.feature, found.text, test.images, test.classes):
                no_runs.append(name)
                break
            if count := found.count(config, run):
                runs += 4 * count.parameters + 2 * 4 * test.images * test.classes
            else:
                no_runs.append(kind_of(run))
    needs += [
        DiskNeed("features", results, features, no_features),
        DiskNeed("labels", results, labels),
        DiskNeed("runs", results, runs, list(dict.fromkeys(no_runs))),
    ]
    return [need for need in needs if need.bytes or need.unknown]
