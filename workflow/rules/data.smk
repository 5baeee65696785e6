"""Raw data sets to image lists with label matrices.

INPUTS: the config's `datasets`: addresses, or a `root:` for data already on disk
OUTPUTS:
    <data>/{dataset}/...                    archives as published, never unpacked
    <results>/data/{dataset}/{split}.h5     image names, classes and labels of a split
"""


# A file is known by its hash. Its addresses are a resource and no parameter, so that a
# new mirror downloads nothing again.
rule download:
    """One published file, checked by its hash."""
    output:
        "<data>/{download}",
    log:
        "<logs>/download/{download}.log",
    wildcard_constraints:
        download=either(DOWNLOADS),
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("download"),
        url=lambda w: arguments.flags({"url": DOWNLOADS[w.download]["url"]}),
    params:
        check=lambda w: arguments.flags({**DOWNLOADS[w.download], "url": None}),
    shell:
        "python -m mlrpl download {resources.url} {params.check}"
        " --output {output:q} &> {log:q}"


rule index_coco:
    """Image list and labels of a split in the COCO layout."""
    input:
        images=split_file("images"),
        beside=train_index,
        annotations=split_file("annotations"),
    output:
        "<results>/data/{dataset}/{split}.h5",
    log:
        "<logs>/data/{dataset}/{split}.log",
    wildcard_constraints:
        dataset=of_format("coco"),
    priority: 1
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("index_coco"),
    params:
        beside=train_split,
        code=code("data.coco", "data.index"),
        choices=lambda w: flags(
            w, "member", "prefix", "keep", "classes", "allow_empty_classes"
        ),
    shell:
        "python -m mlrpl index coco --images {input.images:q}"
        " --annotations {input.annotations:q} {params.choices}"
        " --dataset {wildcards.dataset:q} --split {wildcards.split:q}"
        " {params.beside} --output {output:q} &> {log:q}"


rule index_voc:
    """Image list and labels of a split in the VOC layout."""
    input:
        images=split_file("images"),
        beside=train_index,
    output:
        "<results>/data/{dataset}/{split}.h5",
    log:
        "<logs>/data/{dataset}/{split}.log",
    wildcard_constraints:
        dataset=of_format("voc"),
    priority: 1
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("index_voc"),
    params:
        beside=train_split,
        code=code("data.voc", "data.index"),
        choices=lambda w: flags(
            w, "imageset", "difficult", "classes", "allow_empty_classes"
        ),
    shell:
        "python -m mlrpl index voc --images {input.images:q} {params.choices}"
        " --dataset {wildcards.dataset:q} --split {wildcards.split:q}"
        " {params.beside} --output {output:q} &> {log:q}"


rule index_csv:
    """Image list and labels of a split as a table."""
    input:
        images=split_file("images"),
        beside=train_index,
        labels=split_file("labels"),
    output:
        "<results>/data/{dataset}/{split}.h5",
    log:
        "<logs>/data/{dataset}/{split}.log",
    wildcard_constraints:
        dataset=of_format("csv"),
    priority: 1
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("index_csv"),
    params:
        beside=train_split,
        code=code("data.csv_table", "data.index"),
        choices=lambda w: flags(
            w, "select", "column", "classes", "unlisted", "allow_empty_classes"
        ),
    shell:
        "python -m mlrpl index csv --images {input.images:q} --labels {input.labels:q}"
        " {params.choices} --dataset {wildcards.dataset:q} --split {wildcards.split:q}"
        " {params.beside} --output {output:q} &> {log:q}"
