"""The work on images: from path to row, inside a worker."""
