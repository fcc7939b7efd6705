"""Training of a restoring network, part by part; each part has its own ground truth."""
