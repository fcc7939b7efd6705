"""What of a job is done: rows in place, its memory, its lock, how far it is."""
