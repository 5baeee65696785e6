"""`mlrpl predict`: which classes pictures show, by a trained setting."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from mlrpl.errors import UserError

if TYPE_CHECKING:
    from mlrpl.prediction.scoring import Scored
    from mlrpl.prediction.trained import Trained

# Classes of a picture that are written where --top is not given.
LISTED, MAPPED = 5, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run",
        metavar="RUN",
        help="folder of a run (results/runs/DATASET/METHOD/prop=P/seed=S), or a file "
        "that `mlrpl export` made",
    )
    parser.add_argument(
        "pictures",
        nargs="*",
        metavar="PICTURE",
        help="picture files, folders of them, or - for names on standard input",
    )
    parser.add_argument(
        "--list", metavar="FILE", help="text file with the name of a picture a line"
    )
    parser.add_argument(
        "--format", choices=["table", "csv", "json"], default="table", help="table"
    )
    parser.add_argument(
        "--top",
        type=int,
        metavar="K",
        help=f"write the K most probable classes of each picture (table: {LISTED}, "
        f"maps: {MAPPED}, csv and json: all)",
    )
    parser.add_argument("--output", metavar="FILE", help="file to write; else stdout")
    parser.add_argument(
        "--maps",
        metavar="FOLDER",
        help="write each picture with the attention of its most probable classes",
    )
    parser.add_argument(
        "--encoder",
        metavar="CHECKPOINT",
        help="the encoder's weights, where they are not at the path of the training",
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--batch-size", type=int, default=32, metavar="N")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="by default all cores of this machine"
    )


def run(args: argparse.Namespace) -> None:
    for name in ("top", "batch_size", "threads"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UserError(
                f"--{name.replace('_', '-')}: {value} is not allowed; give at least 1"
            )
    if not args.pictures and args.list is None:
        raise UserError(
            "PICTURE: none is given; name files or folders, --list FILE, or - for "
            "names on standard input"
        )

    from tqdm import tqdm

    from mlrpl.methods.attention import check_attention
    from mlrpl.prediction.encoders import load_encoder
    from mlrpl.prediction.outputs import FORMATS
    from mlrpl.prediction.pictures import find_pictures
    from mlrpl.prediction.saved import load_trained
    from mlrpl.prediction.scoring import score_pictures
    from mlrpl.runtime.device import choose_device

    paths = find_pictures(args.pictures, args.list)
    trained = load_trained(args.run)
    if args.maps is not None:
        check_attention(trained.method, args.run)
    clip = load_encoder(trained, args.encoder)
    top = args.top or (LISTED if args.format == "table" else None)
    scored = score_pictures(
        *(trained, clip, paths),
        device=choose_device(args.device),
        batch_size=args.batch_size,
        threads=args.threads or len(os.sched_getaffinity(0)),
        maps=args.maps is not None,
    )
    faults = 0
    drawn: dict[str, int] = {}
    with _opened(args.output) as file:
        output = FORMATS[args.format](
            file, trained.classes, trained.thresholds.tolist(), top
        )
        bar = tqdm(
            scored,
            total=len(paths),
            unit="picture",
            mininterval=0.2 if sys.stderr.isatty() else 20,
        )
        for one in bar:
            if one.fault is not None:
                faults += 1
                tqdm.write(f"skipped: {one.fault}", file=sys.stderr)
                continue
            output.write(one)
            if args.maps is not None:
                _draw(one, trained, args.top or MAPPED, args.maps, drawn)
        output.close()
    if faults:
        raise UserError(
            f"{faults} of {len(paths)} pictures have no scores (named above); the "
            "others have theirs"
        )


@contextlib.contextmanager
def _opened(path: str | None) -> Iterator[TextIO]:
    """Yield standard output, or a file that is whole in the end or not there."""
    if path is None:
        yield sys.stdout
        return
    from mlrpl.runtime.storage import atomic_path

    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        yield file


def _draw(
    scored: "Scored", trained: "Trained", top: int, folder: str, drawn: dict[str, int]
) -> None:
    """Write a picture's maps as FOLDER/NAME.png, or NAME-2.png if that is another's."""
    from pathlib import Path

    from mlrpl.prediction.overlays import read_picture, strip
    from mlrpl.runtime.storage import atomic_path

    best = (-scored.probabilities).argsort(kind="stable")[:top]
    captions = [f"{scored.probabilities[c]:.2f} {trained.classes[c]}" for c in best]
    data, turned = Path(scored.path).read_bytes(), trained.preparation.exif_rotation
    picture = read_picture(data, side=320, exif_rotation=turned)
    image = strip(
        picture,
        [scored.attention[c] for c in best],
        [Path(scored.path).name, *captions],
    )
    stem = Path(scored.path).stem
    number = drawn[stem] = drawn.get(stem, 0) + 1
    name = stem if number == 1 else f"{stem}-{number}"
    with atomic_path(Path(folder) / f"{name}.png") as temporary:
        image.save(temporary, "PNG")
