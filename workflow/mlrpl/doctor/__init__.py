"""What `mlrpl doctor` says before a long run: data first, text last.

- `sources`: the files that the experiments read, and where each of them stands;
- `sizes`: how many images, how large a feature;
- `trainings`: what a training takes, counted on its method;
- `jobs`: what a job of each rule asks of a cluster, at the stated `rates`;
- `work`: the runs that are asked for, those that are there, and their sizes;
- `disk_needs`, `memory_needs`, `time_needs`: what they take, from the sizes alone;
- `machine`: what the machine has;
- `cluster`: what keeps jobs from running on other machines;
- `report`: the screen.
"""
