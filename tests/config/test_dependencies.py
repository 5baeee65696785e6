"""What a job depends on, found from its imports."""

import re
import textwrap

import pytest

from mlrpl.config import dependencies, options
from mlrpl.config.dependencies import closure, code_hash

FILES = {
    "__init__.py": "",
    "errors.py": "class Mistake(Exception): pass",
    "data/__init__.py": '"""Data."""',
    "data/masks.py": """
        from mlrpl.errors import Mistake
        from mlrpl.data import random

        def drop(labels):
            '''Drop some.'''
            from mlrpl.data.late import SHARE
            return labels * SHARE  # and no more
        """,
    "data/random.py": "import mlrpl.data.masks\n\nSEED = 1",
    "data/late.py": "SHARE = 0.5",
    "data/other.py": "OTHER = 1",
}


@pytest.fixture
def package(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    dependencies._read.cache_clear()
    yield tmp_path
    dependencies._read.cache_clear()


def test_the_closure_follows_every_import(package):
    """Cycles and imports inside of functions too; not what changes no number."""
    found = closure(["data.masks"], package)
    assert found == {"data", "data.masks", "data.random", "data.late"}
    assert "errors" in closure(["errors"], package)
    with pytest.raises(FileNotFoundError, match=r"data\.missing"):
        closure(["data.missing"], package)


def edited(package, name, old, new):
    before = code_hash("data.masks", package=package)
    path = package / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    dependencies._read.cache_clear()
    return before != code_hash("data.masks", package=package)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("data/masks.py", "  # and no more", "  # said otherwise"),
        ("data/masks.py", "'''Drop some.'''", "'''Drop many.'''"),
        ("data/masks.py", "labels * SHARE", "(\n        labels *\n        SHARE)"),
        ("data/__init__.py", '"""Data."""', '"""Other words."""'),
        ("data/other.py", "OTHER = 1", "OTHER = 2"),
        ("errors.py", "Exception", "ValueError"),
    ],
)
def test_what_changes_no_number_changes_no_hash(package, name, old, new):
    assert not edited(package, name, old, new)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("data/masks.py", "labels * SHARE", "labels + SHARE"),
        ("data/late.py", "0.5", "0.25"),
        ("data/random.py", "SEED = 1", "SEED = 2"),
        ("data/random.py", "SEED = 1", "SEED = '1'"),
    ],
)
def test_code_changes_the_hash(package, name, old, new):
    assert edited(package, name, old, new)


def test_a_training_depends_on_its_own_parts_alone():
    def modules(**chosen):
        found = options.Options.from_dict(chosen)
        return closure(dependencies.training_modules(found))

    sarl, coop = modules(), modules(visual="global", loss="p_bce")
    assert {"text.tower", "methods.kernels.fused_kernels", "training.gradients"} <= sarl
    assert sarl - coop == {
        "methods.losses.p_asl",
        *("methods.visual.semantic_decoupling", "methods.decoupling"),
        *("methods.kernels", "methods.kernels.bilinear_attention"),
        *("methods.kernels.fused_attention", "methods.kernels.fused_kernels"),
        "methods.kernels.self_check",
    }
    assert coop - sarl == {"methods.losses.p_bce", "methods.visual.global_feature"}
    linear = modules(head="linear")
    assert "methods.heads.linear" in linear and "text.tower" not in linear
    for found in (sarl, coop, linear):
        assert not any(
            name.startswith(("bench", "reporting", "data.")) for name in found
        )


# The command of each rule that makes numbers, and what it may import besides: the
# formats and parts that another rule or run is for, who makes the demo's weights, and
# what is looked at before the first image.
COCO = ("data.coco", "data.coco_json", "data.json_files")
VOC, CSV = ("data.voc", "data.voc_xml"), ("data.csv_table",)
COMMANDS = {
    "index_coco": ("index", [*VOC, *CSV]),
    "index_voc": ("index", [*COCO, *CSV]),
    "index_csv": ("index", [*COCO, *VOC]),
    "demo_world": ("demo", ["demo.small_clip", "demo.pairs"]),
    "drop": ("drop", []),
    "glove": ("glove", []),
    "clip_vectors": ("clipvectors", []),
    "encoder": ("encoder", []),
    "context": ("context", []),
    "features": ("features", ["text.class_names", "text.clip_text", "text.export"]),
    "shard_list": ("shards", []),
    "tokens": ("features", ["text.class_names", "text.clip_text", "text.export"]),
    "evaluate": ("evaluate", []),
    "resample": ("resample", []),
    "comparison": ("compare", []),
    "cost": ("cost", []),
    "collect": ("collect", []),
    "table": ("table", []),
    "figure": ("figure", []),
    "examples": ("examples", []),
    "pictures": ("pictures", []),
    "boxes_coco": ("boxes", ["data.boxes_voc", "data.voc_xml"]),
    "boxes_voc": (
        "boxes",
        ["data.boxes_coco", "data.coco_json", "data.json_files"],
    ),
    "curves": ("curves", []),
    "classes": ("per_class", []),
    "overview": ("overview", []),
    "localise": ("localise", []),
    "localisation": ("localisation", []),
    "trials": ("tune", []),
    # The tables of trials are another rule's.
    "recipes": (
        "tune",
        closure(["reporting.tuning_grid", "reporting.table_formats"])
        - closure(["reporting.tuning"]),
    ),
}


def test_every_rule_that_makes_numbers_has_its_code(repository):
    """What is fetched is known by its hash; a training's modules are its method's."""
    text = "".join(p.read_text() for p in (repository / "workflow/rules").glob("*.smk"))
    made = {
        block.partition(":")[0]: block
        for block in re.split(r"^rule ", text, flags=re.MULTILINE)
        if "python -m mlrpl" in block
    }
    assert set(made) == {*COMMANDS, "download", "weights", "train"}
    assert "        code=train_code,\n" in made["train"]


@pytest.mark.parametrize("rule", COMMANDS)
def test_every_rule_names_all_that_its_command_imports(repository, rule):
    text = "".join(p.read_text() for p in (repository / "workflow/rules").glob("*.smk"))
    block = text.split(f"\nrule {rule}:\n")[1].split("\nrule ")[0]
    [named] = re.findall(r"code=code\(([^)]*)\)", block)
    found = closure(re.findall(r'"([\w.]+)"', named))
    command, others = COMMANDS[rule]
    needed = closure([f"commands.{command}"]) - set(others)
    modules = {
        name
        for name in needed
        if not name.startswith("commands")
        and not (dependencies.PACKAGE / name.replace(".", "/")).is_dir()
    }
    assert modules <= found


def test_the_training_command_imports_the_loop_alone():
    needed = closure(["commands.train"])
    found = closure(dependencies.training_modules(options.Options.from_dict({})))
    assert {n for n in needed if not n.startswith("commands")} <= found


def test_every_reason_is_of_a_module_that_there_is():
    for name, reason in dependencies.NO_NUMBERS.items():
        place = dependencies.PACKAGE / name.replace(".", "/")
        assert place.is_dir() or place.with_suffix(".py").is_file(), name
        assert reason
