"""What whole trainings take: which there are, their pieces, their operations."""

import pytest
import torch

from mlrpl.bench import inputs
from mlrpl.bench import sizes as all_sizes
from mlrpl.bench.epochs import Costs, table2, trainings
from mlrpl.bench.operations import counts_of, table_operations
from mlrpl.doctor.sizes import SplitCount
from mlrpl.methods import counting
from mlrpl.methods.counting import Shapes
from mlrpl.training.feature_cache import FeatureCache
from support.data_files import fails

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_grid_is_the_configs():
    config = inputs.load_config()
    found = trainings(config)
    # Table 2's three seeds of nine proportions, of which Table 4 and the figures show
    # some too.
    assert found["voc2007", "sarl"] == found["coco2014", "sarl"] == 27
    assert found["voc2007", "coop"] == 5
    assert found["coco2014", "sarl+gamma_neg=4"] == 2
    assert found["voc2007", "hst"] == found["coco2014", "gcn_ml"] == 27
    assert sum(found.values()) == 136 + 7 * 2 * 27
    # The paper's own method and the seven systems that it compares with.
    table = table2(config)
    assert set(table.values()) == {9} and len(table) == 2 * 8
    assert set(table) <= set(found)


def test_a_training_is_the_sum_of_its_epochs_prototypes_and_tests(sizes):
    config = inputs.load_config()
    costs = Costs(before=1, after=100, prototypes=10_000, test=1e6)
    # 20 epochs, 5 of them before transfer; prototypes before epochs 6, 11 and 16.
    hst = inputs.make_options(sizes, config, "hst+eval_every=7")
    assert costs.training(hst) == 5 + 15 * 100 + 3 * 10_000 + 3e6
    sst = inputs.make_options(sizes, config, "sst+transfer_epoch=30")
    assert costs.training(sst) == 20 * 1 + 20e6
    sarl = inputs.make_options(sizes, config, "sarl")
    assert costs.training(sarl) == 100 * 100 + 100e6


def test_operations_are_the_sum_over_the_trainings(sizes, clip):
    config, texts = inputs.load_config(), {"coco2014": clip.path}
    counts, data = counts_of(sizes, clip), sizes.datasets["coco2014"]
    expected = {}
    for method in ("sarb", "ssgrl"):
        options = inputs.make_options(sizes, config, method)
        count = counts.of(options, SplitCount(data.train, 12, "published"))
        tests = 20 * (count.prepare + 40 * count.image)
        expected[method] = 20 * 20 * count.step + tests
        shapes = Shapes(256, 4, 24, 12, 300, 80, 16, 2, 2, 77, 3)
        assert count == counting.count(options, shapes)
    # Blended features pass the graph and the output twice more.
    assert expected["sarb"] > 1.5 * expected["ssgrl"]
    trainings = {("coco2014", "sarb"): 3, ("coco2014", "ssgrl"): 1}
    found = table_operations(config, sizes, texts, trainings)
    assert found == 3 * expected["sarb"] + expected["ssgrl"]


def test_a_method_that_cannot_be_counted_is_named(sizes, clip, monkeypatch):
    monkeypatch.setattr(counting, "count", lambda *_: None)
    given = (inputs.load_config(), sizes, {"voc2007": clip.path})
    trainings = {("voc2007", "sst"): 1}
    fails(table_operations, *given, trainings, match="operations of sst cannot be")


def test_a_method_has_its_own_batch_size_at_the_papers_sizes():
    config, sizes = inputs.load_config(), all_sizes.paper("cpu")
    found = {
        name: inputs.make_options(sizes, config, name).batch_size
        for name in ("sarl", "gcn_ml", "sst", "hst")
    }
    assert found == {"sarl": 64, "gcn_ml": 16, "sst": 8, "hst": 32}
    assert sizes.grid == (7, 7) and not sizes.options
    dsrb = inputs.make_options(sizes, config, "dsrb")
    assert (dsrb.reduce_dim, dsrb.attention_dim, dsrb.output_dim) == (1024, 512, 1024)


@pytest.mark.parametrize(
    ("name", "shape"), [("sarl", (3, 4, 256)), ("coop", (3, 24)), ("gcn_ml", (3, 256))]
)
def test_a_batch_is_of_what_the_method_reads(sizes, clip, name, shape):
    options = inputs.make_options(sizes, inputs.load_config(), name)
    method = inputs.make_method(sizes, options, clip)
    batch = inputs.make_batch(sizes, method, clip, 3, torch.device("cpu"))
    assert batch.features.shape == shape and batch.labels.shape == (3, 12)
    assert method.loss(batch).isfinite()


def test_a_made_cache_has_all_three_features(tmp_path):
    inputs.write_cache(tmp_path / "cache.h5", 5, 4, 8, 6)
    cache = FeatureCache([tmp_path / "cache.h5"])
    shapes = {kind: cache.read(kind).shape for kind in ("map", "global", "max")}
    assert shapes == {"map": (5, 4, 8), "global": (5, 6), "max": (5, 8)}
