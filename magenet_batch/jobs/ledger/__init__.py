"""State of a job on disk: rows, plan and runs, lock, status."""
