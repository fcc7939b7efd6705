"""Obeys what a reviewer decided: delivers, withholds, and takes it back."""
