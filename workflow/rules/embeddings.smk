"""GloVe's class vectors.

INPUTS: the published vectors (the config's `glove`), <results>/data/{dataset}/train.h5
OUTPUTS: <results>/data/{dataset}/glove.npy, one row a class
"""


rule glove:
    input:
        vectors=plan.glove_source(config),
        index="<results>/data/{dataset}/train.h5",
    output:
        "<results>/data/{dataset}/glove.npy",
    log:
        "<logs>/data/{dataset}/glove.log",
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("glove"),
    params:
        code=code("embeddings.glove"),
        member=literal(plan.flags({"member": config["glove"]["member"]})),
        words=lambda w: flags(w, "words"),
    shell:
        "python -m mlrpl glove --vectors {input.vectors:q} {params.member}"
        " --index {input.index:q} {params.words} --output {output:q} &> {log:q}"
