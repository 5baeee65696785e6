"""mAP and trainable parameters when Eq. 6 pools the ``fused`` feature of Eq. 3 (the
default), or the ``raw`` map, from which the linear map to the text dimension may start
as CLIP's own projection. The paper's "1024-to-512 linear map" and its 4.8 M parameters
leave both readings open.
"""


use rule table_ablation as ablation_pooled with:
    input:
        **ablation(
            title="Pooling the fused feature or the raw map",
            method=[
                "sarl+visual=semantic_decoupling+pooled=fused+projection=random",
                "sarl+visual=semantic_decoupling+pooled=raw+projection=random",
                "sarl+visual=semantic_decoupling+pooled=raw+projection=clip",
            ],
            prop=[0.1, 0.5, 0.9],
            seed=0,
            columns=["parameters"],
            printed=["table2", "parameters"],
            published_methods=["Ours"],
            published_proportions=False,
        ),
