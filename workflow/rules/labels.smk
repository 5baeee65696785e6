"""Label dropping: the partial labels of one proportion and seed.

INPUTS: <results>/data/{dataset}/train.h5
OUTPUTS: <results>/data/{dataset}/known/prop={prop}/seed={seed}.npy, cells in -1, 0, 1
"""


rule drop:
    input:
        index=of_images("<results>/data/{dataset}/train.h5"),
    output:
        "<results>/data/{dataset}/known/prop={prop}/seed={seed}.npy",
    log:
        "<logs>/data/{dataset}/known/prop={prop}/seed={seed}.log",
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("drop"),
    params:
        code=code("data.masks"),
        masks=lambda w: DATASETS[w.dataset]["masks"],
    shell:
        "python -m mlrpl drop --index {input.index:q} --prop {wildcards.prop:q}"
        " --seed {wildcards.seed:q} --masks {params.masks:q} --output {output:q} &> {log:q}"
