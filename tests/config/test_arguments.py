"""Values of the configuration as command line arguments."""

from mlrpl.config import arguments


def test_flags_are_quoted_and_sorted():
    values = {
        "member": "a b",
        "keep": None,
        "allow_empty_classes": True,
        "other": False,
        "classes": ["x", "y z"],
        "words": {"tvmonitor": "tv monitor", "diningtable": "dining table"},
        "size": 0,
    }
    assert arguments.flags(values) == (
        "--member 'a b' --allow-empty-classes --classes x 'y z' "
        "--words 'diningtable=dining table' 'tvmonitor=tv monitor' --size 0"
    )
