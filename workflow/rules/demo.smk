"""The embedded demo's data: archives and vectors as the public data sets have them.

INPUTS: none
OUTPUTS: results/demo/world/, which profiles/demo/config.yaml names as `root:`
"""


rule demo_world:
    """The demo's data sets and vectors."""
    output:
        "results/demo/world/train2014.zip",
        "results/demo/world/val2014.zip",
        "results/demo/world/annotations_trainval2014.zip",
        "results/demo/world/VOCtrainval_06-Nov-2007.tar",
        "results/demo/world/VOCtest_06-Nov-2007.tar",
        "results/demo/world/glove.txt",
    log:
        "logs/demo/world.log",
    conda:
        "../../envs/mlrpl.yaml"
    threads: 2
    resources:
        **takes("demo_world"),
    params:
        code=code("demo.archives", "demo.corpus"),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m mlrpl demo data --output {params.folder:q} --processes {threads} &> {log:q}"
