"""One training a setting, from cached features alone.

INPUTS: the features, labels, masks, vectors and text tower of a data set
OUTPUTS: <results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/
    weights.safetensors   what was trained
    history.csv           losses and test mAP, epoch by epoch; of held-out images too
    scores.h5             test scores after the last epoch and after the best
    run.json              options, parameter counts, seconds, versions
"""


rule train:
    """One training: a data set, a method, a proportion and a seed."""
    input:
        train_features=shards("train"),
        test_features=shards("test"),
        train_index=of_images("<results>/data/{dataset}/train.h5"),
        test_index=of_images("<results>/data/{dataset}/test.h5"),
        known="<results>/data/{dataset}/known/prop={prop}/seed={seed}.npy",
        glove=of_images("<results>/data/{dataset}/glove.npy"),
        clip=of_images("<results>/clip/{dataset}.safetensors"),
        context=context_file,
    output:
        weights="<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/weights.safetensors",
        history="<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/history.csv",
        scores="<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/scores.h5",
        run="<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/run.json",
    log:
        "<logs>/runs/{dataset}/{method}/prop={prop}/seed={seed}/train.log",
    conda:
        "../../envs/mlrpl.yaml"
    threads: config["threads"]["train"]
    resources:
        **takes("train"),
        gpu=GPU,
        device=DEVICE,
        record="tensorboard" if config["tensorboard"] else "none",
    params:
        code=train_code,
        options=lambda w: json.dumps(method_options(w.method), sort_keys=True),
        context=lambda w, input: arguments.flags({"context": input.context}),
        folder=subpath(output.run, parent=True),
    shell:
        "python -m mlrpl train --dataset {wildcards.dataset:q}"
        " --method {wildcards.method:q} --prop {wildcards.prop:q} --seed {wildcards.seed:q}"
        " --options {params.options:q}"
        " --train-features {input.train_features[0]:q}"
        " --test-features {input.test_features[0]:q}"
        " --train-index {input.train_index:q} --test-index {input.test_index:q}"
        " --known {input.known:q} --glove {input.glove:q} --clip {input.clip:q}"
        " {params.context}"
        " --device {resources.device} --threads {threads}"
        " --record {resources.record}"
        " --output-dir {params.folder:q} &> {log:q}"
