"""Cyclic garbage is looked for less often while a plan grows."""

import gc

from mlrpl.planning.garbage import collect_rarely


def test_a_plan_of_many_objects_is_not_walked_through_again_and_again():
    before, passes = gc.get_threshold(), []

    def passed(phase, info):
        if phase == "stop":
            passes.append(info["generation"])

    gc.callbacks.append(passed)
    try:
        counts = []
        for threshold in (None, collect_rarely):
            gc.set_threshold(700, 10, 10)
            if threshold:
                threshold()
            passes.clear()
            plan = [[number] for number in range(300_000)]
            counts.append(len(passes))
        assert len(plan) == 300_000 and gc.isenabled()
        assert 0 < counts[1] < counts[0] / 20
    finally:
        gc.callbacks.remove(passed)
        gc.set_threshold(*before)
