"""mAP of the methods that one would put beside SARL today, on the same frozen features,
known labels and seed. Prompts that are compared with every location (DualCoOp to
PositiveCoOp) are trained at the rates of their public code, as are the losses, which
stand on the linear probe. The printed rows are those that could be confirmed; all of
them report the best epoch on the test set.
"""


use rule table_ablation as ablation_rivals with:
    input:
        **ablation(
            title="mAP of other methods for partial labels on the same features",
            method=[
                *("sarl", "sarl_plus", "linear_probe", "curriculum"),
                "linear_probe+loss=p_bce+p_bce_weight=durand",
                *("dualcoop", "dualcoop_pp", "tai_dpt"),
                *("positive_coop", "vision_only", "scpnet"),
                *("an", "an_ls", "wan", "epr", "role", "em", "em_apl"),
                *("ll_r", "ll_ct", "ll_cp", "boost_lu"),
                *("splc", "hill", "csl", "pu_mlc", "gpr"),
            ],
            seed=0,
            titles={"linear_probe+loss=p_bce+p_bce_weight=durand": "Partial BCE"},
            printed=["rivals"],
        ),
