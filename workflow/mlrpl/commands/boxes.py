"""`mlrpl boxes`: where the objects of a split are, from its annotations."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    formats = parser.add_subparsers(dest="format", required=True, metavar="FORMAT")
    coco = formats.add_parser("coco", help="instances JSON")
    coco.add_argument("--annotations", required=True, help="JSON, or its archive")
    coco.add_argument("--member", help="the JSON inside an archive")
    coco.add_argument("--prefix", default="", help="what precedes its file names")
    voc = formats.add_parser("voc", help="VOC's XML")
    voc.add_argument("--images", required=True, help="archive or folder of one year")
    for chosen in (coco, voc):
        chosen.add_argument("--index", required=True, help="index of the split")
        chosen.add_argument("--output", required=True, help="HDF5")


def run(args: argparse.Namespace) -> None:
    from mlrpl.data import boxes_coco, boxes_voc
    from mlrpl.data.index import Index

    index = Index.load(args.index)
    if args.format == "coco":
        places = {"member": args.member, "prefix": args.prefix}
        boxes = boxes_coco.read_boxes(args.annotations, index, **places)
    else:
        boxes = boxes_voc.read_boxes(args.images, index)
    boxes.save(args.output)
    print(f"{args.output}: {len(boxes.image)} boxes in {len(index.images)} images")
