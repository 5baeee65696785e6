"""Figures of test images, the AP of each class, and how well attention finds objects.

INPUTS: runs of the config's experiments, test images, their features and annotations
OUTPUTS:
    <results>/examples/{figure}/{dataset}.h5          images, scores and maps of a figure
    <results>/figures/{figure3,figure5,figure6,figure9}.pdf and .png
    <results>/data/{dataset}/boxes.h5                 where the test images' objects are
    <results>/runs/.../localisation.json              one run's attention and these boxes
    <results>/tables/localisation.csv, .md, .tex and .html
"""

# What each figure shows of an image, as `mlrpl examples` takes it.
EXAMPLES = {"figure3": "attention", "figure6": "scores", "figure9": "failures"}


rule examples:
    input:
        unpack(run_files),
        images=split_file("images", "test"),
        index=of_images("<results>/data/{dataset}/test.h5"),
        glove=of_images("<results>/data/{dataset}/glove.npy"),
        clip=of_images("<results>/clip/{dataset}.safetensors"),
        features=maps_of_test,
    output:
        "<results>/examples/{figure}/{dataset}.h5",
    log:
        "<logs>/examples/{figure}/{dataset}.log",
    wildcard_constraints:
        figure=either(EXAMPLES),
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("examples"),
    params:
        code=code("prediction.examples"),
        kind=lambda w: EXAMPLES[w.figure],
        runs=lambda w, input: list(map(os.path.dirname, input.record)),
        choice=lambda w: json.dumps(
            config["experiments"][w.figure]["pictures"], sort_keys=True
        ),
    shell:
        "python -m mlrpl examples {params.kind:q} --runs {params.runs:q}"
        " --index {input.index:q} --images {input.images:q}"
        " --features {input.features:q}"
        " --choice {params.choice:q} --output {output:q} &> {log:q}"


# What figures of test images share (workflow/schemas/pictures.schema.yaml).
rule pictures:
    input:
        examples=[],
    output:
        **figure_files("<results>/figures/{pictures}"),
    log:
        "<logs>/figures/{pictures}.log",
    wildcard_constraints:
        pictures=either([]),
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("pictures"),
    params:
        code=code("prediction.examples", "reporting.picture_figures"),
        spec=None,
        prefix=subpath(output.pdf, strip_suffix=".pdf"),
    shell:
        "python -m mlrpl pictures --spec {params.spec:q} --examples {input.examples:q}"
        " --output {params.prefix:q} &> {log:q}"


use rule pictures as figure3 with:
    input:
        examples=example_files("figure3"),
    output:
        **figure_files(
            "<results>/figures/figure3",
            category="Figures",
            caption="../report/figure3.rst",
            labels={"figure": "Figure 3", "shows": "attention of the best classes"},
        ),
    log:
        "<logs>/figures/figure3.log",
    params:
        spec=spec(
            {"kind": "attention", "title": "Attention of the most probable classes"},
            **experiment("figure3"),
        ),


use rule figure as figure5 with:
    input:
        **shown(**experiment("figure5")),
    output:
        **figure_files(
            "<results>/figures/figure5",
            category="Figures",
            caption="../report/figure5.rst",
            labels={"figure": "Figure 5", "shows": "AP of each class"},
        ),
    log:
        "<logs>/figures/figure5.log",
    params:
        spec=spec(
            {"kind": "classes", "title": "AP of each class"},
            **experiment("figure5"),
        ),


use rule pictures as figure6 with:
    input:
        examples=example_files("figure6"),
    output:
        **figure_files(
            "<results>/figures/figure6",
            category="Figures",
            caption="../report/figure6.rst",
            labels={"figure": "Figure 6", "shows": "best classes of two methods"},
        ),
    log:
        "<logs>/figures/figure6.log",
    params:
        spec=spec(
            {"kind": "scores", "title": "The most probable classes of each method"},
            **experiment("figure6"),
        ),


use rule pictures as figure9 with:
    input:
        examples=example_files("figure9"),
    output:
        **figure_files(
            "<results>/figures/figure9",
            category="Figures",
            caption="../report/figure9.rst",
            labels={"figure": "Figure 9", "shows": "confident errors"},
        ),
    log:
        "<logs>/figures/figure9.log",
    params:
        spec=spec(
            {"kind": "failures", "title": "The errors that the method is surest of"},
            **experiment("figure9"),
        ),


rule boxes_coco:
    input:
        annotations=split_file("annotations", "test"),
        index="<results>/data/{dataset}/test.h5",
    output:
        "<results>/data/{dataset}/boxes.h5",
    log:
        "<logs>/data/{dataset}/boxes.log",
    wildcard_constraints:
        dataset=of_format("coco"),
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("boxes_coco"),
    params:
        code=code("data.boxes_coco"),
        choices=lambda w: flags(w, "member", "prefix", split="test"),
    shell:
        "python -m mlrpl boxes coco --annotations {input.annotations:q}"
        " {params.choices} --index {input.index:q} --output {output:q} &> {log:q}"


rule boxes_voc:
    input:
        images=split_file("images", "test"),
        index="<results>/data/{dataset}/test.h5",
    output:
        "<results>/data/{dataset}/boxes.h5",
    log:
        "<logs>/data/{dataset}/boxes.log",
    wildcard_constraints:
        dataset=of_format("voc"),
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("boxes_voc"),
    params:
        code=code("data.boxes_voc"),
    shell:
        "python -m mlrpl boxes voc --images {input.images:q} --index {input.index:q}"
        " --output {output:q} &> {log:q}"


rule localise:
    input:
        weights="<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/weights.safetensors",
        record="<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/run.json",
        known="<results>/data/{dataset}/known/prop={prop}/seed={seed}.npy",
        glove=of_images("<results>/data/{dataset}/glove.npy"),
        clip=of_images("<results>/clip/{dataset}.safetensors"),
        index=of_images("<results>/data/{dataset}/test.h5"),
        boxes=of_images("<results>/data/{dataset}/boxes.h5"),
        features=maps_of_test,
    output:
        "<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/localisation.json",
    log:
        "<logs>/runs/{dataset}/{method}/prop={prop}/seed={seed}/localise.log",
    conda:
        "../../envs/mlrpl.yaml"
    threads: config["threads"]["train"]
    resources:
        **takes("localise"),
        gpu=GPU,
        device=DEVICE,
    params:
        code=code("prediction.localising"),
        run=subpath(input.record, parent=True),
    shell:
        "python -m mlrpl localise {params.run:q} --index {input.index:q}"
        " --boxes {input.boxes:q} --features {input.features:q}"
        " --device {resources.device} --threads {threads} --output {output:q} &> {log:q}"


rule localisation:
    input:
        runs=settings(**experiment("localisation"), file="localisation.json"),
    output:
        **table_files(
            "<results>/tables/localisation",
            category="Tables",
            caption="../report/localisation.rst",
            labels={"table": "Localisation", "shows": "attention in boxes"},
        ),
    log:
        "<logs>/tables/localisation.log",
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("localisation"),
    params:
        code=code("reporting.localisation", "reporting.table_formats"),
        spec=spec(
            {
                "title": "How well attention finds the objects of a class",
                "titles": {
                    "sarl+visual=semantic_attention": "SARL, semantic attention"
                },
                "layout": "proportions",
            },
            **experiment("localisation"),
        ),
        prefix=subpath(output.csv, strip_suffix=".csv"),
    shell:
        "python -m mlrpl localisation --spec {params.spec:q} --runs {input.runs:q}"
        " --output {params.prefix:q} &> {log:q}"


rule pictures_and_boxes:
    input:
        [
            getattr(rules, name).output
            for name in (*EXAMPLES, "figure5", "localisation")
            if name in config["experiments"]
        ],
