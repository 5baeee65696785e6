"""What each choice is worth where the paper is silent (docs/choices.md): the difference
that the other choice makes, everything else as in the paper, with its interval. Classes
have a table of their own.
"""

# Of each run the one that it is compared with, from which it differs in one choice.
CHOICES = {
    "sarl+score=softmax": "sarl",
    "sarl+scale=50": "sarl",
    "sarl+scale=20": "sarl",
    "sarl+scale_learned=true": "sarl",
    "sarl+pooled=raw": "sarl",
    "sarl+pooled=raw+projection=clip": "sarl+pooled=raw",
    "sarl+detach=false": "sarl",
    "sarl+loss=p_bce": "sarl",
    "sarl+loss=p_bce+p_bce_weight=durand": "sarl+loss=p_bce",
    "sarl+period=false": "sarl",
    "sarl+context_init=a_photo_of_a": "sarl",
    "sarl+n_ctx=4": "sarl",
    "sarl+context_std=0.1": "sarl",
    "sarl+gamma_pos=0": "sarl",
    "sarl+gamma_pos=2": "sarl",
    "sarl+gamma_neg=1": "sarl",
    "sarl+gamma_neg=4": "sarl",
    "sarl+margin=0": "sarl",
    "sarl+weight_decay=0": "sarl",
    "sarl+warmup_epochs=0": "sarl",
    "sarl+schedule=constant": "sarl",
    "sarl+precision=fp32": "sarl",
}


use rule comparison as ablation_choices with:
    input:
        shown(
            interval=True,
            method=["sarl", *CHOICES],
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
        against=literal(json.dumps(comparing.canonical_pairs(config, CHOICES))),
        metric=["mAP", "OF1", "CF1"],
        titles=literal("{}"),
