"""`mlrpl train`: one setting, from its files to its files."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for name in ("dataset", "method"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument(
        "--prop", type=float, required=True, help="share of known labels"
    )
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--options", required=True, help="the options, as JSON")
    for split in ("train", "test"):
        parser.add_argument(
            f"--{split}-features",
            nargs="+",
            required=True,
            metavar="HDF5",
            help="the split's feature files, or their list (shards.json)",
        )
    parser.add_argument("--train-index", required=True)
    parser.add_argument("--test-index", required=True)
    parser.add_argument("--known", required=True, help="partial labels, npy")
    parser.add_argument("--glove", required=True, help="class vectors, npy")
    parser.add_argument("--clip", required=True, help="text side of CLIP, safetensors")
    parser.add_argument(
        "--context", help="tokens of context_init, JSON; not for a random start"
    )
    parser.add_argument(
        "--device",
        default="auto",
        choices=["auto", "cpu", "cuda"],
        help="auto: the GPU if there is one",
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch on a CPU")
    parser.add_argument(
        "--record",
        default="none",
        choices=["none", "tensorboard"],
        help="write TensorBoard's event files beside history.csv",
    )
    parser.add_argument("--output-dir", required=True)


def run(args: argparse.Namespace) -> None:
    import json

    from mlrpl.config.options import Options
    from mlrpl.encoder.shard_list import expand
    from mlrpl.errors import UserError
    from mlrpl.evaluation.average_precision import mean_average_precision
    from mlrpl.training.run import Setting, run_setting

    try:
        values = json.loads(args.options)
    except json.JSONDecodeError as error:
        raise UserError(
            f"--options: not JSON ({error}); quote it as one word"
        ) from error
    if not isinstance(values, dict):
        raise UserError(f"--options: {args.options} is not a JSON object; give {{...}}")
    setting = Setting(
        dataset=args.dataset,
        method=args.method,
        prop=args.prop,
        seed=args.seed,
        options=Options.from_dict(values),
        train_features=expand(args.train_features),
        test_features=expand(args.test_features),
        train_index=args.train_index,
        test_index=args.test_index,
        known=args.known,
        glove=args.glove,
        clip=args.clip,
        context=args.context,
    )
    run_setting(
        *(setting, args.output_dir, args.device, args.threads),
        mean_ap=mean_average_precision,
        tensorboard=args.record == "tensorboard",
    )
