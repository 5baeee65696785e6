"""What each choice is worth where the paper is silent (docs/choices.md): the difference
that the other choice makes, everything else as in the paper, with its interval. Classes
have a table of their own.
"""

# Of each run the one that it is compared with, from which it differs in one choice. Both
# are written out, so that they are what they say beside other `options` too.
CHOICES = {
    "sarl+score=softmax": "sarl+score=sigmoid",
    "sarl+scale=50": "sarl+scale=clip",
    "sarl+scale=20": "sarl+scale=clip",
    "sarl+scale_learned=true": "sarl+scale_learned=false",
    "sarl+pooled=raw+projection=random": "sarl+pooled=fused+projection=random",
    "sarl+pooled=raw+projection=clip": "sarl+pooled=raw+projection=random",
    "sarl+loss=p_asl+detach=false": "sarl+loss=p_asl+detach=true",
    "sarl+loss=p_bce": "sarl+loss=p_asl",
    "sarl+loss=p_bce+p_bce_weight=durand": "sarl+loss=p_bce+p_bce_weight=none",
    "sarl+period=false": "sarl+period=true",
    "sarl+context_init=a_photo_of_a": "sarl+context_init=random",
    "sarl+context_init=random+n_ctx=4": "sarl+context_init=random+n_ctx=16",
    "sarl+context_init=random+context_std=0.1": (
        "sarl+context_init=random+context_std=0.02"
    ),
    "sarl+loss=p_asl+gamma_pos=0": "sarl+loss=p_asl+gamma_pos=1",
    "sarl+loss=p_asl+gamma_pos=2": "sarl+loss=p_asl+gamma_pos=1",
    "sarl+loss=p_asl+gamma_neg=1": "sarl+loss=p_asl+gamma_neg=2",
    "sarl+loss=p_asl+gamma_neg=4": "sarl+loss=p_asl+gamma_neg=2",
    "sarl+loss=p_asl+margin=0": "sarl+loss=p_asl+margin=0.05",
    "sarl+weight_decay=0": "sarl+weight_decay=0.0005",
    "sarl+warmup_epochs=0": "sarl+warmup_epochs=1",
    "sarl+schedule=constant": "sarl+schedule=cosine",
    "sarl+precision=fp32": "sarl+precision=auto",
}


use rule comparison as ablation_choices with:
    input:
        shown(
            interval=True,
            method=[*CHOICES, *CHOICES.values()],
            prop=[0.1, 0.5, 0.9],
            seed=[0, 1, 2],
        )["resamples"],
    output:
        csv="<results>/ablations/choices.csv",
        md="<results>/ablations/choices.md",
        json="<results>/ablations/choices.json",
        classes="<results>/ablations/choices_classes.csv",
    log:
        "<logs>/ablations/choices.log",
    params:
        against=literal(json.dumps(stops(comparing.canonical_pairs)(config, CHOICES))),
        metric=["mAP", "OF1", "CF1"],
        titles=literal("{}"),
