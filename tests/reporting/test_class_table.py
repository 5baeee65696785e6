"""The AP of each class, one column a method."""

import pandas as pd

from mlrpl.reporting import class_table

METHODS = {"coop": "CoOp", "sarl": "SARL", "absent": "Absent"}
DATASETS = {"coco": "MS-COCO", "mine": "Mine"}


def frame(rows):
    """Rows of (dataset, method, prop, seed, class, ap) after the last epoch."""
    names = ["dataset", "method", "prop", "seed", "class", "ap"]
    return pd.DataFrame(rows, columns=names).assign(epoch="last")


def body(grid):
    return [[cell.text for cell in line.cells] for g in grid.groups for line in g.lines]


def test_a_number_is_over_what_all_methods_have():
    """`sarl` has a proportion and a seed more, which would not compare."""
    rows = [
        ("coco", "coop", 0.1, 0, "dog", 40.0),
        ("coco", "coop", 0.5, 0, "dog", 60.0),
    ]
    rows += [
        ("coco", "sarl", p, s, "dog", 50 + 10 * s) for p in (0.1, 0.5) for s in (0, 1)
    ]
    rows += [("coco", "sarl", 0.9, 0, "dog", 99.0), ("mine", "sarl", 0.9, 0, "b", 1.0)]
    grid = class_table.build(frame(rows), METHODS, DATASETS)
    assert [head.text for head in grid.heads] == ["Class", "CoOp", "SARL"]
    assert body(grid) == [["dog", "50.0", "50.0"], ["b", "", "1.0"]]
    assert [group.title for group in grid.groups] == ["MS-COCO", "Mine"]
    assert "MS-COCO: mean over 10 and 50 % known labels and 1 seed" in grid.notes[0]


def test_the_best_of_a_class_is_bold_as_it_is_printed():
    rows = [
        ("coco", "coop", 0.1, 0, "dog", 40.04),
        ("coco", "sarl", 0.1, 0, "dog", 39.96),
    ]
    rows += [("coco", "coop", 0.1, 0, "cat", 1.0), ("coco", "sarl", 0.1, 0, "cat", 2.0)]
    grid = class_table.build(frame(rows), METHODS, DATASETS)
    bold = [[cell.bold for cell in line.cells] for line in grid.groups[0].lines]
    assert bold == [[False, True, True], [False, False, True]]


def test_classes_keep_their_order_and_a_class_without_positives_is_empty():
    rows = [
        ("coco", "sarl", 0.1, 0, name, ap) for name, ap in (("z", 5.0), ("a", None))
    ]
    assert body(class_table.build(frame(rows), METHODS, DATASETS)) == [
        ["z", "5.0"],
        ["a", ""],
    ]


def test_the_best_epoch_on_the_test_set_has_no_part():
    rows = frame([("coco", "sarl", 0.1, 0, "dog", 40.0)])
    both = pd.concat([rows, rows.assign(epoch="best", ap=90.0)])
    assert body(class_table.build(both, METHODS, DATASETS)) == [["dog", "40.0"]]
