"""The methods of ``rivals`` at 50 % known labels: a first look at all of them."""


use rule table_ablation as ablation_rivals_half with:
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
            prop=0.5,
            seed=0,
            titles={"linear_probe+loss=p_bce+p_bce_weight=durand": "Partial BCE"},
            printed=["rivals"],
        ),
