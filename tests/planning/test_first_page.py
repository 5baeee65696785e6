"""What of the report the first page shows, and in which order."""

from mlrpl.planning.first_page import FirstPage


def test_what_was_asked_for_in_the_order_of_numbers():
    page = FirstPage("out")
    page.add("<results>/metrics.csv", {"table": "all"}, "Tables", "Every one")
    page.add("<results>/t10.html", {"table": "Table 10"}, "Tables", "x", folded=True)
    page.add("<results>/t2.html", {"table": "Table 2", "shows": "mAP"}, "Tables")
    page.add("<results>/left.html", {"table": "Table 1"}, "Tables")
    page.add("<results>/a/<ablation>.html", {"t": lambda: "x"}, "Ablations", "{{ x }}")
    ablations = {"mine": {"caption": "What it shows", "spec": "{}"}}
    names = ("a/mine.html", "metrics.csv", "t10.html", "t2.html")
    found = page.of([f"out/{name}" for name in names], ablations)
    assert list(found) == [
        f"out/{name}" for name in ("t2.html", "t10.html", "a/mine.html", "metrics.csv")
    ]
    assert found["out/t2.html"] == {
        "section": "Tables",
        "title": "Table 2: mAP",
        "folded": False,
    }
    assert found["out/t10.html"]["folded"] and found["out/t10.html"]["caption"] == "x"
    assert found["out/metrics.csv"]["section"] == "Every number"
    assert found["out/a/mine.html"]["title"] == "mine"
    assert found["out/a/mine.html"]["caption"] == "What it shows"


def test_a_caption_that_snakemake_fills_in_is_left_out():
    page = FirstPage("out")
    page.add("<results>/a.html", {}, "Tables", "{{ snakemake.params.x }}")
    assert page.of(["out/a.html"], {})["out/a.html"]["caption"] == ""
