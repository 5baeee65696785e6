"""Methods compared: pairing, averages, parts of the classes, and what is refused."""

import h5py
import numpy as np
import pytest
import scipy.stats

from mlrpl.errors import UserError
from mlrpl.evaluation.average_precision import mean_average_precision
from mlrpl.statistics.comparisons import by_class, compare
from mlrpl.statistics.grids import frequencies, grids, interval, metric
from mlrpl.statistics.intervals import BCA, stretch
from mlrpl.statistics.resample_files import Resamples
from mlrpl.statistics.resampling import image_counts, seed_draws
from mlrpl.statistics.run_folders import load_runs
from support import score_runs

RESAMPLES = 300


def load(*places, epoch="last", resamples=RESAMPLES):
    return grids(load_runs(places, epoch, resamples, {}))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three seeds and two proportions of two methods; eight seeds of two more."""
    folder = tmp_path_factory.mktemp("results")
    score_runs.write(folder, "weak", 0.3)
    score_runs.write(folder, "strong", 0.6)
    score_runs.write(folder, "coop", 0.33, seeds=range(8), noise=0.7)
    score_runs.write(folder, "sarl", 0.36, seeds=range(8), noise=0.7)
    return folder / "runs/set"


def only(rows, **wanted):
    [row] = [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]
    return row


def literal(results, method, prop, seed, count):
    """The mAP of repeated images."""
    with h5py.File(results / f"{method}/prop={prop}/seed={seed}/scores.h5") as file:
        scores = file["last"][:]
    rows = np.repeat(np.arange(len(scores)), count)
    return mean_average_precision(scores[rows], score_runs.index().labels[rows])


def test_a_difference_is_paired_on_image_seed_and_proportion(results):
    """The interval of the average, with nothing of the package but the draws."""
    runs = load(results / "weak", results / "strong", resamples=100)
    rows = compare(runs, "weak", ["mAP"])
    row = only(rows, method="strong", prop="average", classes="all")
    counts = np.concatenate(list(image_counts(400, 100, 0)))
    series = np.array(
        [
            [
                np.mean(
                    [
                        literal(results, "strong", prop, seed, count)
                        - literal(results, "weak", prop, seed, count)
                        for prop in (0.1, 0.5)
                    ]
                )
                for count in counts
            ]
            for seed in (0, 1, 2)
        ]
    )
    assert row.difference.value == pytest.approx(series[:, 0].mean())
    assert row.value - row.other == pytest.approx(row.difference.value)
    up, down = [], []
    for number, draw in enumerate(seed_draws(3, 100), start=1):
        mean = series[:, number].mean()
        deviation = np.mean([series[seed, number] for seed in draw]) - mean
        up.append(mean + stretch(3) * deviation)
        down.append(mean - stretch(3) * deviation)
    assert row.difference.kind == BCA and row.seeds == (0, 1, 2)
    # BCa, but for the acceleration, which hardly moves anything here.
    shift = scipy.stats.norm.ppf(np.mean(np.array(up + down) < row.difference.value))
    moved = scipy.stats.norm.cdf(2 * shift + scipy.stats.norm.ppf([0.025, 0.975]))
    ends = np.quantile(up, moved)
    width = np.ptp(ends)
    assert row.difference.low == pytest.approx(ends[0], abs=0.05 * width)
    assert row.difference.high == pytest.approx(ends[1], abs=0.05 * width)


def test_three_seeds_have_no_p_and_eight_have(results):
    runs = load(results)
    rows = compare(runs, "coop", ["mAP", "OF1"])
    few = only(rows, method="weak", prop="average", metric="mAP", classes="all")
    assert np.isnan([few.p, few.p_holm]).all() and few.seeds == (0, 1, 2)
    many = only(rows, method="sarl", prop="average", metric="mAP", classes="all")
    assert many.seeds == tuple(range(8)) and many.difference.kind == BCA
    assert 2 / 2**8 <= many.p <= many.p_holm <= 1
    parts = [row for row in rows if row.classes != "all"]
    assert {row.metric for row in parts} == {"mAP"}
    assert np.isnan([row.p for row in parts]).all()


def test_averages_and_proportions_are_corrected_apart(results):
    rows = compare(load(results), "coop", ["mAP"])
    tested = [row for row in rows if not np.isnan(row.p)]
    assert len(tested) == 3  # sarl at two proportions and on average
    average = only(tested, prop="average")
    assert average.p_holm == average.p
    low, high = sorted((r for r in tested if r.prop != "average"), key=lambda r: r.p)
    assert low.p_holm == pytest.approx(min(1, 2 * low.p))
    assert high.p_holm == pytest.approx(max(low.p_holm, high.p))


def test_one_methods_interval_is_of_its_own_values(results):
    runs = load(results / "weak")
    found = interval(runs["set", "weak"], metric("mAP"), [0.5])
    means = [
        literal(results, "weak", 0.5, seed, np.ones(400, int)) for seed in range(3)
    ]
    assert found.value == pytest.approx(np.mean(means))
    assert found.low < found.value < found.high and found.seeds == 3
    assert interval(runs["set", "weak"], metric("mAP"), [0.5, 0.9]) is None


def test_parts_of_the_classes_are_thirds_by_their_positives():
    found = frequencies(np.array([50, 0, 3, 9, 2, 40, 7]))
    assert {name: sorted(part) for name, part in found.items()} == {
        "rare": [2, 4],
        "medium": [3, 6],
        "frequent": [0, 5],
    }
    assert frequencies(np.array([5, 0, 1])) == {}


def test_parts_make_up_the_whole(results):
    rows = compare(load(results / "weak", results / "strong"), "weak", ["mAP"])
    at = {row.classes: row for row in rows if row.prop == "0.1"}
    parts = [at[name].difference.value for name in ("rare", "medium", "frequent")]
    assert np.mean(parts) == pytest.approx(at["all"].difference.value)
    assert at["rare"].positives < at["medium"].positives < at["frequent"].positives


def test_classes_are_compared_one_by_one(results):
    rows = by_class(load(results / "weak", results / "strong"), "weak")
    assert len(rows) == 6 * 3
    row = only(rows, classes="fox", prop="0.5")
    assert row.positives == (score_runs.index().labels[:, 5] == 1).sum()
    assert row.metric == "AP" and np.isnan(row.p)
    mean = np.mean([r.value for r in rows if r.prop == "0.5"])
    assert mean == pytest.approx(
        only(
            compare(load(results / "weak", results / "strong"), "weak", ["mAP"]),
            prop="0.5",
            classes="all",
        ).value
    )


def test_runs_of_other_seeds_are_compared_on_those_in_common(tmp_path):
    score_runs.write(tmp_path, "weak", 0.3, seeds=(0, 1, 2))
    score_runs.write(tmp_path, "strong", 0.6, seeds=(2, 3))
    rows = compare(load(tmp_path / "runs"), "weak", ["mAP"])
    assert {row.seeds for row in rows} == {(2,)}


def test_proportions_of_one_method_alone_are_left_out(tmp_path):
    score_runs.write(tmp_path, "weak", 0.3, props=(0.1, 0.5), seeds=(0,))
    score_runs.write(tmp_path, "strong", 0.6, props=(0.5, 0.9), seeds=(0,))
    rows = compare(load(tmp_path / "runs"), "weak", ["mAP"])
    assert {row.prop for row in rows} == {"0.5"}


def test_what_cannot_be_compared_is_one_line(tmp_path):
    score_runs.write(tmp_path / "a", "weak", 0.3, seeds=(0,))
    score_runs.write(tmp_path / "b", "strong", 0.6, seeds=(1,))
    score_runs.write(tmp_path / "c", "strong", 0.6, test=score_runs.index(90))
    classes = score_runs.index(classes=("ant", "bat"))
    score_runs.write(tmp_path / "d", "strong", 0.6, test=classes)
    runs = [tmp_path / name / "runs" for name in "abcd"]
    with pytest.raises(UserError, match="weak have no seed in common at any prop"):
        compare(load(runs[0], runs[1]), "weak", ["mAP"])
    with pytest.raises(UserError, match="its test images or their labels are not"):
        load(runs[0], runs[2])
    with pytest.raises(UserError, match="its classes are not those of set/weak/prop"):
        load(runs[0], runs[3])
    with pytest.raises(UserError, match=r"set/weak/prop=0\.1/seed=0: is given twice"):
        load(runs[0], runs[0])
    with pytest.raises(UserError, match="--against none: there is no run of it; the m"):
        compare(load(runs[0]), "none", ["mAP"])
    with pytest.raises(UserError, match="there is no other method on its data sets"):
        compare(load(runs[0]), "weak", ["mAP"])
    score_runs.write(tmp_path / "a", "strong", 0.6, seeds=(0,))
    with pytest.raises(UserError, match="metric mAP_11point: has no resamples; cho"):
        compare(load(runs[0]), "weak", ["mAP_11point"])
    with pytest.raises(UserError, match=r"c/data: no run is in it \(no scores.h5\)"):
        load(tmp_path / "c/data")
    with pytest.raises(UserError, match="has no scores of the epoch validated, but of"):
        load(runs[0], epoch="validated")


def test_one_image_has_values_and_no_intervals(tmp_path):
    test = score_runs.index(1)
    score_runs.write(tmp_path, "weak", 0.3, test=test)
    score_runs.write(tmp_path, "strong", 0.6, test=test)
    for row in compare(load(tmp_path / "runs"), "weak", ["mAP"]):
        assert not np.isnan(row.value) and np.isnan(row.difference.low)
        assert row.difference.kind == ""


def test_a_file_has_what_was_resampled(results, tmp_path):
    [run] = load_runs([results / "weak/prop=0.1/seed=2"], "best", RESAMPLES, {})
    run.save(tmp_path / "resamples.h5")
    again = Resamples.load(tmp_path / "resamples.h5")
    assert again.setting == run.setting and again.classes == run.classes
    assert (again.epoch, again.images, again.resamples) == ("best", 400, RESAMPLES)
    assert again.test_set == run.test_set
    for name, values in run.metrics.items():
        assert np.array_equal(values, again.metrics[name])
    np.testing.assert_array_equal(again.ap, run.ap)
    (tmp_path / "resamples.h5").write_bytes(b"no")
    with pytest.raises(UserError, match="not a whole file of resamples"):
        Resamples.load(tmp_path / "resamples.h5")


def test_other_labels_of_the_same_images_are_other_test_sets(tmp_path):
    """An index that was made anew with other difficult objects, for instance."""
    first, second = score_runs.index(), score_runs.index()
    second.labels[5, 2] *= -1
    score_runs.write(tmp_path / "a", "weak", 0.3, test=first)
    score_runs.write(tmp_path / "b", "strong", 0.6, test=second)
    with pytest.raises(UserError, match="its test images or their labels are not"):
        load(tmp_path / "a/runs", tmp_path / "b/runs")
