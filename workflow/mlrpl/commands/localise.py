"""`mlrpl localise`: how well a run's attention finds the objects of the classes."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="folder of the run")
    parser.add_argument("--index", required=True, help="index of the test images")
    parser.add_argument("--boxes", required=True, help="boxes of their objects")
    parser.add_argument("--features", nargs="+", required=True, metavar="HDF5")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="localisation.json to write")


def run(args: argparse.Namespace) -> None:
    import torch

    from mlrpl.data.boxes import Boxes
    from mlrpl.data.index import Index
    from mlrpl.prediction.localising import localise, write_localisation
    from mlrpl.runtime.device import choose_device

    torch.set_num_threads(args.threads)
    index = Index.load(args.index)
    boxes = Boxes.load(args.boxes, index)
    device = choose_device(args.device)
    found = localise(args.run, index, boxes, args.features, device)
    write_localisation(found, args.output)
    said = ", ".join(
        f"{name} {value:.1f} (chance {found['chance'][name]:.1f})"
        for name, value in found["attention"].items()
        if value is not None
    )
    print(f"{args.output}: {found['labels']} labels with a box: {said or 'nothing'}")
