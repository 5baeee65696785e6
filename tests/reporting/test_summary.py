"""The overview's table of averages."""

from mlrpl.reporting import summary

HEAD = "dataset,dataset_title,source,reference,method,title,metric,epoch,seeds"


def test_a_table_that_averages_over_nothing_says_what_its_numbers_are_at(tmp_path):
    """As that of localisation."""
    path = tmp_path / "localisation.csv"
    path.write_text(
        f"{HEAD},0.1,0.1_sd,0.9,0.9_sd\n"
        "mine,Mine,this run,,sarl,SARL,Peak in a box,last,1,40,,48,\n"
    )
    grid = summary.build([("Localisation", path)])
    [group] = grid.groups
    [line] = group.lines
    texts = [cell.text for cell in line.cells]
    assert texts == ["SARL", "Peak in a box at 10 and 90 %", "44.0", "1"]
