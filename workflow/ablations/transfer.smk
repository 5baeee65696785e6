"""mAP of the paper's framework, alone and with what SST, HST, SARB and DSRB add to pass
knowledge from known to unknown labels, at one seed. The head, its rates and its loss
(P-ASL) are those of SARL in every row. The paper has no such rows: it names label
correlation as future work. The margins of HST and the shares of SARB and DSRB are learned
at a rate of their own, ``lr_scalars``, which was set for Adam: with SGD they hardly leave
their start, ``margin_start`` and ``blend_start``.
"""


use rule table_ablation as ablation_transfer with:
    input:
        **ablation(
            title="Transfer to unknown labels on top of the framework",
            method=[
                "sarl+transfer=none",
                "sarl+transfer=sst",
                # At a rate of 1e-5 margins that start at 1 would let nothing pass.
                "sarl+transfer=hst+margin_start=0.75",
                "sarl+transfer=sarb",
                "sarl+transfer=dsrb",
            ],
            prop=[0.1, 0.3, 0.5, 0.7, 0.9],
            seed=0,
            titles={
                "sarl+transfer=sst": "SARL with SST's pseudo labels",
                "sarl+transfer=hst+margin_start=0.75": "SARL with HST's pseudo labels",
                "sarl+transfer=sarb": "SARL with SARB's blending",
                "sarl+transfer=dsrb": "SARL with DSRB's blending",
            },
            printed=["table4"],
            published_methods=["Ours"],
        ),
