"""What a job works on: the archive, listed once and cut into shards."""
