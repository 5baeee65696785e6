"""How fast machines are taken to be, where nothing has been measured."""

# Operations a second: a recent card in fp32 as small layers use it, and in fp16 in the
# encoder; of a CPU a core.
TRAIN = {"cuda": 10e12, "cpu": 10e9}
ENCODE = {"cuda": 50e12, "cpu": 30e9}
# Photographs of 640x480 a second and core, decoded and resized to 448 (measured: 90).
DECODE = 80
