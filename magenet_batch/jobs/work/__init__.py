"""The work on images inside a worker: from path to row."""
