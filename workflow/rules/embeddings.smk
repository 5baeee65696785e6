"""Class vectors: GloVe's, or CLIP's own text features.

INPUTS: the published vectors (the config's `glove`), <results>/data/{dataset}/train.h5;
    with `words: clip`, <results>/clip/{dataset}.safetensors
OUTPUTS: <results>/data/{dataset}/glove.npy, one row a class
"""


rule glove:
    """Class vectors out of GloVe."""
    input:
        vectors=PLACES.of(raw_files.glove_source(config)),
        index="<results>/data/{dataset}/train.h5",
    output:
        "<results>/data/{dataset}/glove.npy",
    log:
        "<logs>/data/{dataset}/glove.log",
    wildcard_constraints:
        dataset=either(d for d in DATASETS if DATASETS[d]["words"] != "clip"),
    priority: 1
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("glove"),
    params:
        code=code("embeddings.glove"),
        member=literal(arguments.flags({"member": config["glove"]["member"]})),
        words=lambda w: flags(w, "words"),
    shell:
        "python -m mlrpl glove --vectors {input.vectors:q} {params.member}"
        " --index {input.index:q} {params.words} --output {output:q} &> {log:q}"


rule clip_vectors:
    """Class vectors of CLIP's own text tower."""
    input:
        clip="<results>/clip/{dataset}.safetensors",
    output:
        "<results>/data/{dataset}/glove.npy",
    log:
        "<logs>/data/{dataset}/glove.log",
    wildcard_constraints:
        dataset=either(d for d in DATASETS if DATASETS[d]["words"] == "clip"),
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("clip_vectors"),
    params:
        code=code("text.class_features"),
    shell:
        "python -m mlrpl clipvectors --clip {input.clip:q} --output {output:q} &> {log:q}"
