"""What Eq. 6 pools, the fused feature or the raw map, and how the projection starts.

The paper's "1024-to-512 linear map" and its 4.8 M parameters leave both readings open.
"""

POOLED = {
    "method": [
        "sarl+visual=semantic_decoupling+pooled=fused+projection=random",
        "sarl+visual=semantic_decoupling+pooled=raw+projection=random",
        "sarl+visual=semantic_decoupling+pooled=raw+projection=clip",
    ],
    "prop": [0.1, 0.5, 0.9],
    "seed": 0,
}


use rule table as ablation_pooled with:
    input:
        **shown(["table2", "parameters"], **POOLED),
    output:
        **table_files(
            "<results>/ablations/pooled", category="Ablations", caption="pooled.rst"
        ),
    log:
        "<logs>/ablations/pooled.log",
    params:
        spec=spec(
            {
                "title": "Pooling the fused feature or the raw map",
                "layout": "proportions",
                "columns": ["parameters"],
                "published_methods": ["Ours"],
                "published_proportions": False,
            },
            **POOLED,
        ),
