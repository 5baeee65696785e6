"""`mlrpl index FORMAT`: image list and label matrix of one split."""

import argparse
import sys
from typing import TYPE_CHECKING

from mlrpl.errors import UserError

if TYPE_CHECKING:
    from mlrpl.data.index import Index


def add_arguments(parser: argparse.ArgumentParser) -> None:
    formats = parser.add_subparsers(dest="format", required=True, metavar="FORMAT")

    coco = formats.add_parser("coco", help="COCO instances JSON")
    _common(coco)
    coco.add_argument("--annotations", required=True, help="JSON, or archive of it")
    coco.add_argument("--member", help="the JSON in the archive, if it holds several")
    coco.add_argument(
        "--keep",
        choices=("labelled", "all"),
        default="labelled",
        help="images with an object, or all",
    )
    coco.add_argument(
        "--prefix", default="", help="what precedes file_name in the archive"
    )
    coco.add_argument(
        "--classes", nargs="+", help="categories to take, in order; default: all"
    )

    voc = formats.add_parser("voc", help="PASCAL VOC's XML and image sets")
    _common(voc)
    voc.add_argument("--imageset", required=True, help="for instance trainval")
    voc.add_argument(
        "--difficult",
        choices=("negative", "ignore", "positive"),
        default="negative",
        help="label of a class that shows in difficult objects only",
    )
    voc.add_argument("--classes", nargs="+", action="extend", help="default: VOC's 20")

    table = formats.add_parser("csv", help="a table, each row an image")
    _common(table)
    table.add_argument("--labels", required=True, help="the CSV")
    table.add_argument("--select", help="take the rows with this split")
    table.add_argument("--column", help="that lists the present classes: cat|dog")
    table.add_argument("--classes", nargs="+", help="its classes; default: all, sorted")
    table.add_argument(
        "--unlisted",
        choices=("absent", "unknown"),
        default="absent",
        help="what a class is that the list does not have",
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.data.row_blocks import label_counts

    common = {
        "dataset": args.dataset,
        "split": args.split,
        "allow_empty_classes": args.allow_empty_classes,
    }
    if args.format == "coco":
        from mlrpl.data import coco

        index = coco.read_index(
            args.images,
            args.annotations,
            member=args.member,
            keep=args.keep,
            prefix=args.prefix,
            classes=args.classes,
            **common,
        )
    elif args.format == "voc":
        from mlrpl.data import voc

        index = voc.read_index(
            args.images,
            args.imageset,
            difficult=args.difficult,
            classes=args.classes or voc.VOC_CLASSES,
            **common,
        )
    else:
        from mlrpl.data import csv_table

        index = csv_table.read_index(
            args.images,
            args.labels,
            select=args.select,
            column=args.column,
            classes=args.classes,
            unlisted=args.unlisted,
            **common,
        )
    if args.beside:
        _compare(index, args.images, args.beside, args.beside_images or args.images)
    index.save(args.output)
    counts = label_counts(index.labels)
    print(
        f"{args.output}: {len(index.images)} images, {len(index.classes)} classes, "
        f"{counts['positive']} positive and {counts['unknown']} "
        "unknown labels"
    )


def _compare(index: "Index", images: str, beside: str, beside_images: str) -> None:
    """Refuse other classes than those of another split; warn of shared pictures."""
    from mlrpl.archives.formats import open_archive, some
    from mlrpl.data.index import Index
    from mlrpl.data.splits import check_classes, shared_pictures

    other = Index.load(beside)
    check_classes(index, other)
    try:
        with open_archive(images) as archive, open_archive(beside_images) as others:
            shared = shared_pictures(index, archive, other, others)
    except UserError as error:  # which does not spoil this index
        print(
            f"the pictures of {other.split} are not compared: {error}", file=sys.stderr
        )
        return
    if shared:
        print(
            f"warning: {len(shared)} of {len(index.images)} images of {index.dataset} "
            f"{index.split} are in {other.split}, too ({some(shared)}); a test on "
            "images of the training says little",
            file=sys.stderr,
        )


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", required=True, help="zip, tar or folder of images")
    parser.add_argument("--dataset", required=True, help="name of the data set")
    parser.add_argument("--split", required=True, help="train or test")
    parser.add_argument(
        "--allow-empty-classes",
        action="store_true",
        help="accept classes without any positive label",
    )
    parser.add_argument(
        "--beside",
        metavar="INDEX",
        help="the other split: its classes must be the same, shared pictures are told",
    )
    parser.add_argument(
        "--beside-images", help="its images; by default --images, as of this split"
    )
    parser.add_argument("--output", required=True, help="the index, HDF5")
