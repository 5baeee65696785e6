"""The frozen encoder: once per image, and what training needs of it.

INPUTS: the images' archives, <results>/data/{dataset}/{split}.h5, the config's `encoder`
OUTPUTS:
    <data>/clip/{weights}                             those of open_clip's tag, if it is one
    <results>/features/{dataset}/{split}/{shard}.h5   pooled maps and global features
    <results>/features/{dataset}/{split}/tokens/{shard}.h5   every location, projected
    <results>/features/{dataset}/{split}/shards.json  the list of a split's files
    <results>/clip/{dataset}.safetensors              text tower and class names
    <results>/clip/context/{text}.json                tokens of a context's start
"""


# Once, where there is a network; the nodes of a cluster have none.
rule weights:
    output:
        "<data>/clip/{weights}",
    log:
        "<logs>/download/clip/{weights}.log",
    wildcard_constraints:
        weights=either(Path(path).name for path in raw_files.fetched_weights(config)),
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("weights"),
    params:
        encoder=literal(
            arguments.flags(
                {k: ENCODER.get(k) for k in ("model", "pretrained", "sha256")}
            )
        ),
    shell:
        "python -m mlrpl weights {params.encoder} --output {output:q} &> {log:q}"


rule encoder:
    """What training needs of CLIP."""
    input:
        index="<results>/data/{dataset}/train.h5",
        weights=PLACES.of_all(raw_files.encoder_files(config)),
        fetched=raw_files.fetched_weights(config),
    output:
        "<results>/clip/{dataset}.safetensors",
    log:
        "<logs>/clip/{dataset}.log",
    priority: 1
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("encoder"),
    params:
        code=code("text.export"),
        encoder=literal(
            arguments.flags({k: ENCODER[k] for k in ("model", "pretrained")})
        ),
        image_size=ENCODER["image_size"],
        names=lambda w: flags(w, "names"),
    shell:
        "python -m mlrpl encoder {params.encoder} --weights {input.fetched:q}"
        " --image-size {params.image_size}"
        " --index {input.index:q} {params.names} --output {output:q} &> {log:q}"


rule context:
    """The tokens that context vectors start from."""
    input:
        model=PLACES.of_all(raw_files.model_config(config)),
    output:
        "<results>/clip/context/{text}.json",
    log:
        "<logs>/clip/context/{text}.log",
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("context"),
    params:
        code=code("text.context_tokens"),
        model=literal(ENCODER["model"]),
    shell:
        "python -m mlrpl context --model {params.model:q} --text={wildcards.text:q}"
        " --output {output:q} &> {log:q}"


# A shard is whole or absent: a break costs one shard, and several GPUs share a split.
rule features:
    """Image features of one shard of a split."""
    input:
        images=split_file("images"),
        index="<results>/data/{dataset}/{split}.h5",
        weights=PLACES.of_all(raw_files.encoder_files(config)),
        fetched=raw_files.fetched_weights(config),
    output:
        "<results>/features/{dataset}/{split}/{shard}.h5",
    log:
        "<logs>/features/{dataset}/{split}/{shard}.log",
    benchmark:
        "<logs>/features/{dataset}/{split}/{shard}.tsv"
    conda:
        "../../envs/mlrpl.yaml"
    threads: config["threads"]["features"]
    resources:
        **takes("features"),
        gpu=GPU,
        device=DEVICE,
        batch_size=ENCODER["batch_size"],
        # Looked at before the first image, and no part of the features.
        names=lambda w: flags(w, "names"),
    params:
        code=code("encoder.features"),
        encoder=literal(
            arguments.flags({k: ENCODER[k] for k in ("model", "pretrained")})
        ),
        image_size=ENCODER["image_size"],
        colours=arguments.flags(
            {k: ENCODER[k] for k in ("mean", "std", "exif_rotation")}
        ),
        views=lambda w: ",".join(plan.views_of(config, w.split)),
        shards=lambda w: DATASETS[w.dataset]["splits"][w.split]["shards"],
    shell:
        "python -m mlrpl features {params.encoder} --weights {input.fetched:q}"
        " --image-size {params.image_size}"
        " {params.colours} --views {params.views} --images {input.images:q}"
        " --index {input.index:q} --shard {wildcards.shard:q} --shards {params.shards}"
        " --device {resources.device} --batch-size {resources.batch_size}"
        " --threads {threads} {resources.names} --output {output:q} &> {log:q}"


# Only what a configured run reads is extracted; with maps it is a second pass.
rule tokens:
    input:
        images=split_file("images"),
        index="<results>/data/{dataset}/{split}.h5",
        weights=PLACES.of_all(raw_files.encoder_files(config)),
        fetched=raw_files.fetched_weights(config),
    output:
        "<results>/features/{dataset}/{split}/tokens/{shard}.h5",
    log:
        "<logs>/features/{dataset}/{split}/tokens/{shard}.log",
    conda:
        "../../envs/mlrpl.yaml"
    threads: config["threads"]["features"]
    resources:
        **takes("tokens"),
        gpu=GPU,
        device=DEVICE,
        batch_size=ENCODER["batch_size"],
    params:
        code=code("encoder.features"),
        encoder=literal(
            arguments.flags({k: ENCODER[k] for k in ("model", "pretrained")})
        ),
        image_size=ENCODER["image_size"],
        colours=arguments.flags(
            {k: ENCODER[k] for k in ("mean", "std", "exif_rotation")}
        ),
        views=lambda w: ",".join(plan.views_of(config, w.split)),
        shards=lambda w: DATASETS[w.dataset]["splits"][w.split]["shards"],
    shell:
        "python -m mlrpl features --tokens {params.encoder} --weights {input.fetched:q}"
        " --image-size {params.image_size} {params.colours} --views {params.views}"
        " --images {input.images:q}"
        " --index {input.index:q} --shard {wildcards.shard:q} --shards {params.shards}"
        " --device {resources.device} --batch-size {resources.batch_size}"
        " --threads {threads} --output {output:q} &> {log:q}"


# One input of each training in place of all shards, at which every plan would look.
rule shard_list:
    """The list of a split's feature files."""
    input:
        shards_of_split,
    output:
        "<results>/features/{dataset}/{split}/{kind}shards.json",
    log:
        "<logs>/features/{dataset}/{split}/{kind}shards.log",
    wildcard_constraints:
        kind="(tokens/)?",
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("shard_list"),
    params:
        code=code("encoder.shard_list"),
        shards=lambda w, input: len(input),
    shell:
        "python -m mlrpl shards --count {params.shards} --output {output:q} &> {log:q}"
