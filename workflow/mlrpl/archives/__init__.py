"""Raw archives, read in place: zip, tar, folder."""
