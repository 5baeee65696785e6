"""What the rule files ask of a configuration, as plain Python without Snakemake."""
