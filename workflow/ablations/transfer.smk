"""Passing knowledge from known to unknown labels, on top of the paper's framework.

The paper leaves label correlation to future work. SST, HST, SARB and DSRB work on any
head that has a feature for each class, and here on its head and its loss.
"""

TRANSFER = {
    "method": [
        "sarl+transfer=none",
        "sarl+transfer=sst",
        # At a rate of 1e-5 margins that start at 1 would let nothing pass.
        "sarl+transfer=hst+margin_start=0.75",
        "sarl+transfer=sarb",
        "sarl+transfer=dsrb",
    ],
    "prop": [0.1, 0.3, 0.5, 0.7, 0.9],
    "seed": 0,
}


use rule table as ablation_transfer with:
    input:
        **shown(["table4"], **TRANSFER),
    output:
        **table_files(
            "<results>/ablations/transfer",
            category="Ablations",
            caption="transfer.rst",
        ),
    log:
        "<logs>/ablations/transfer.log",
    params:
        spec=spec(
            {
                "title": "Transfer to unknown labels on top of the framework",
                "layout": "proportions",
                "published_methods": ["Ours"],
                "titles": {
                    "sarl+transfer=sst": "SARL with SST's pseudo labels",
                    "sarl+transfer=hst+margin_start=0.75": "SARL with HST's pseudo labels",
                    "sarl+transfer=sarb": "SARL with SARB's blending",
                    "sarl+transfer=dsrb": "SARL with DSRB's blending",
                },
            },
            **TRANSFER,
        ),
