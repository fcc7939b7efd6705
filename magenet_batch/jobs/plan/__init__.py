"""The plan of a job: the archive, listed once and cut into shards."""
