"""Data sets on disk: archives, label matrices, dropped labels, downloads."""
