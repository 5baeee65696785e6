"""Measuring this code on the machine at hand: `mlrpl bench`.

One module a part (`encoder`, `cache`, `step`, `epochs`, `evaluation`). Inputs and
weights are random and of the paper's sizes (`sizes`, `inputs`): time and memory do not
depend on their values. What is measured are the classes and functions that the workflow
runs, beside a plain reading of the paper's equations (`literal`) and what the machine
itself can do (`measuring`, `counts`).
"""
