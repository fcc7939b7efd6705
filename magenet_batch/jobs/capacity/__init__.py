"""Forecast a job's hours, machines and cost from a sample of its images."""
