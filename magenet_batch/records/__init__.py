"""What a job leaves on disk."""
