"""Who works: hands units to workers, here or on Ray, and tries again what died."""
