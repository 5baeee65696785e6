"""Input files, arguments and resources of the rules, by their short names."""

split_file = INPUTS.split_file
of_images = INPUTS.of_images
of_format = INPUTS.of_format
shards = INPUTS.shards
flags = INPUTS.flags
code = INPUTS.code
method_options = stops(INPUTS.method_options)
shards_of_split = inspected(INPUTS.shards_of_split)
train_index = inspected(INPUTS.train_index)
train_split = inspected(INPUTS.train_split)
train_code = stops(INPUTS.train_code)
context_file = stops(INPUTS.context_file)
run_files = stops(INPUTS.run_files)
maps_of_test = inspected(INPUTS.maps_of_test)


def takes(rule):
    """Resources of a rule's jobs: memory, time and disk, as `mlrpl doctor` has them."""
    return resources_of(JOBS, rule)
